"""A service's life: composed, started, ready, drained.

`run` is what a process does. `assemble` puts the same parts together without a bus, for the
command line and for tests that hand in messages themselves.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import structlog
from aiohttp import web

from contracts.envelope import Envelope
from contracts.events import RequestRefused
from runtime.batch import never
from runtime.bus import Bus
from runtime.bus_topology import Topology
from runtime.clock import Clock, system_clock
from runtime.connection import PooledConnection
from runtime.consumption import Consumption, check_bus
from runtime.health import Liveness, Readiness, health_app
from runtime.measuring import QUEUES, READINESS, Measure, measuring
from runtime.migrate import check_schema
from runtime.outbox import Relay, relay_as_leader
from runtime.postgres_store import PostgresStore
from runtime.processor import OUTAGES, Processor
from runtime.projector import Projection
from runtime.restored import lacks_of_bus
from runtime.settings import RuntimeSettings
from runtime.spans import Spans
from runtime.store import StreamKind
from runtime.telemetry import build_spans, configure_logging
from runtime.work import DocumentKey, Handlers, Message

DATABASE_RETRY_SECONDS: Final = 0.2
STATEMENT_SECONDS_MAX: Final = 30
IDLE_IN_TRANSACTION_SECONDS_MAX: Final = 15
CANCEL_AGAIN_SECONDS: Final = 0.5
GARBAGE_OBJECTS: Final = 50_000


@dataclass(frozen=True)
class Wiring:
    """What the runtime must be told of the messages there are."""

    topology: Topology
    decode: Callable[[str, bytes], Envelope[Any]]
    type_of_subject: Callable[[str], str]


Task = Callable[["Running"], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Service:
    """One service, composed: what `build(settings)` returns.

    `tasks` run until they are cancelled; one that ends or raises ends the process. With `own_http`
    the service serves `/healthz`, `/readyz` and `/metrics` itself. `prepare` runs before anything
    else does; `package` holds the migrations, where that is not `services.<name>`. `floor` is the
    document that holds a `TimeFloor`; `measures` are read again and again, for metrics. A
    message that is `unhurried`, because nobody waits for what it brings, waits for others to go
    along with, a few hundredths of a second at most: together they cost little more than one.
    """

    name: str
    kinds: tuple[StreamKind[Any, Any], ...]
    handlers: Handlers
    projections: tuple[Projection, ...] = ()
    refused: type[RequestRefused] | None = None
    tasks: tuple[Task, ...] = ()
    own_http: bool = False
    prepare: Callable[["Running"], Awaitable[None]] | None = None
    package: str | None = None
    floor: DocumentKey | None = None
    measures: tuple[Measure, ...] = ()
    unhurried: Callable[[Message], bool] = never


@dataclass
class Running:
    """The parts of a service that is running."""

    service: Service
    settings: RuntimeSettings
    wiring: Wiring
    pool: asyncpg.Pool
    store: PostgresStore
    processor: Processor
    relay: Relay
    bus: Bus
    clock: Clock
    spans: Spans
    liveness: Liveness = field(default_factory=Liveness)
    readiness: Readiness = field(default_factory=Readiness)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    processing: asyncio.Task[None] = field(init=False)


class StartError(Exception):
    """The service must not start: its database or the bus is not what this release knows."""


async def open_pool(settings: RuntimeSettings) -> asyncpg.Pool:
    """Return a pool on the service's database; waits for as long as the database is away.

    Raises `StartError` where the server is there and does not let us in.
    """
    while True:
        try:
            return await asyncpg.create_pool(
                settings.postgres_dsn.get_secret_value(),
                connection_class=PooledConnection,
                min_size=1,
                max_size=settings.postgres_pool_max,
                timeout=5,
                command_timeout=STATEMENT_SECONDS_MAX,
                max_inactive_connection_lifetime=300,
                server_settings={
                    "application_name": settings.nats_user,
                    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS_MAX}s",
                    "jit": "off",
                },
            )
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as error:
            raise StartError(f"cannot log in to its database: {error}") from None
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as error:
            structlog.get_logger().warning("database.away", error=repr(error))
            await asyncio.sleep(DATABASE_RETRY_SECONDS)


@asynccontextmanager
async def assemble(
    service: Service,
    settings: RuntimeSettings,
    wiring: Wiring,
    *,
    clock: Clock = system_clock,
) -> AsyncIterator[Running]:
    """Give a service's parts on its database, with the bus named but not connected.

    Raises `StartError` where the database is not at this release's schema. The processor's loop
    runs; what is published waits in the outbox.
    """
    pool = await open_pool(settings)
    async with pool:
        async with pool.acquire() as connection:
            problem = await check_schema(connection, service.name, service.package)
        if problem is not None:
            raise StartError(problem)
        running = _compose(service, settings, wiring, pool, clock)
        if service.prepare is not None:
            await service.prepare(running)
        running.processing = asyncio.create_task(running.processor.run(), name="processor")
        try:
            yield running
        finally:
            running.processing.cancel()
            await asyncio.gather(running.processing, return_exceptions=True)


def _compose(
    service: Service,
    settings: RuntimeSettings,
    wiring: Wiring,
    pool: asyncpg.Pool,
    clock: Clock,
) -> Running:
    store = PostgresStore(pool)
    bus = Bus(
        service=service.name,
        url=settings.nats_url,
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value(),
    )
    spans = build_spans(service.name, settings)
    relay = Relay(store, bus, spans)
    consumption = Consumption(wiring.decode, wiring.type_of_subject, clock)
    processor = Processor(
        service=service.name,
        store=store,
        clock=clock,
        kinds=service.kinds,
        handlers=service.handlers,
        projections=service.projections,
        refused=service.refused,
        followed_kinds=wiring.topology.followed_kinds(service.name),
        spans=spans,
        wake_relay=relay.wake,
        decode_waiting=consumption.from_waiting,
        floor=service.floor,
        unhurried=service.unhurried,
    )
    running = Running(service, settings, wiring, pool, store, processor, relay, bus, clock, spans)
    processor.beat = running.liveness.beat("processor")
    return running


def run(service: Service, settings: RuntimeSettings, wiring: Wiring) -> int:
    """Run a service until it is told to stop; return the process's exit status."""
    configure_logging(service.name, level=settings.log_level, log_format=settings.log_format)
    log = structlog.get_logger()
    _collect_rarely()
    try:
        return _run_loop(_main(service, settings, wiring))
    except StartError as error:
        log.critical("service.refused_to_start", reason=str(error))
        return 1


def _collect_rarely() -> None:
    """Leave what is loaded by now to itself, and look for cycles less often.

    What a message needs is freed by counting references; to look through the whole heap for cycles
    every 700 objects took an eighth of the time of a decision.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)


def _run_loop(main: Coroutine[Any, Any, int]) -> int:
    import uvloop

    return uvloop.run(main)


async def _main(service: Service, settings: RuntimeSettings, wiring: Wiring) -> int:
    log = structlog.get_logger()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(assemble(service, settings, wiring))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stopping.set)
        running.readiness.add_check("database", _database_check(running))
        running.readiness.add_check("clock", _clock_check(running))
        if not service.own_http:
            await stack.enter_async_context(_health_server(running))
        wanted = (*service.tasks, *map(measuring, (QUEUES, READINESS, *service.measures)))
        tasks = [asyncio.create_task(task(running), name=task.__name__) for task in wanted]
        watch = running.processor.database.watch(running.pool, running.clock, OUTAGES)
        tasks.append(asyncio.create_task(watch, name="database watch"))
        bus = asyncio.create_task(_live_on_bus(running), name="bus")
        stop = asyncio.create_task(running.stopping.wait(), name="stop")
        log.info("service.started", environment=settings.environment)
        ended, _ = await asyncio.wait(
            {stop, bus, running.processing, *tasks}, return_when=asyncio.FIRST_COMPLETED
        )
        status = _why(ended, stop)
        await _drain(running, bus, tasks, stop)
        return status


def _why(ended: set[asyncio.Task[Any]], stop: asyncio.Task[Any]) -> int:
    if stop in ended:
        return 0
    for task in ended:
        error = task.exception()
        if isinstance(error, StartError):
            raise error
        structlog.get_logger().critical("task.ended", task=task.get_name(), exc_info=error)
    return 1


async def _drain(
    running: Running,
    bus: asyncio.Task[Any],
    tasks: list[asyncio.Task[Any]],
    stop: asyncio.Task[Any],
) -> None:
    """Stop taking work, finish what was begun, send what is written; within the bound."""
    running.stopping.set()
    log = structlog.get_logger()
    log.info("service.draining")
    try:
        async with asyncio.timeout(running.settings.drain_seconds):
            for task in (stop, *tasks):
                task.cancel()
            if running.service.own_http:
                # Calls in hand wait for what comes from the bus.
                await asyncio.wait({stop, *tasks})
            await asyncio.gather(_cancel_until_ended(bus), asyncio.wait({stop, *tasks}))
            if running.bus.connected:
                while await running.relay.relay_once():
                    pass
    except TimeoutError:
        log.error(  # noqa: TRY400 - the trace would say nothing
            "service.drain_timed_out", seconds=running.settings.drain_seconds
        )
    except Exception as error:  # noqa: BLE001 - the outbox keeps what could not be sent
        log.warning("service.drain_incomplete", error=repr(error))
    try:
        async with asyncio.timeout(2):
            await running.bus.close()
    except Exception as error:  # noqa: BLE001 - nothing is left to lose
        log.warning("bus.close_failed", error=repr(error))
    await asyncio.to_thread(running.spans.close)
    log.info("service.stopped")


async def _cancel_until_ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Once is not enough: `asyncio.wait_for`, which nats-py is full of, swallows a cancellation that
    comes in the moment in which what it waits for is done (fixed in Python 3.12).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)


async def _live_on_bus(running: Running) -> None:
    """Connect, check that the bus is what we know, then consume and relay until cancelled."""
    consumption = Consumption(running.wiring.decode, running.wiring.type_of_subject, running.clock)
    running.readiness.add_check("bus", _bus_check(running))
    await running.bus.connect()
    sources = running.wiring.topology.sources(running.service.name)
    problems = await check_bus(running.bus, running.wiring.topology)
    async with running.pool.acquire() as connection:
        older = await lacks_of_bus(running.bus.jetstream, connection, running.service.name)
    problems += [older] if older else []
    if problems:
        raise StartError("; ".join(problems))
    # Not before there is a bus to relay to: to wait for it is not to be stuck.
    running.relay.beat = running.liveness.beat("relay")
    missing: list[str] = []
    running.readiness.add_check("consumers", _consumers_check(missing))
    async with asyncio.TaskGroup() as group:
        group.create_task(running.bus.ended())
        group.create_task(
            relay_as_leader(running.relay, running.settings.postgres_dsn.get_secret_value())
        )
        group.create_task(consumption.retry_readable(running.pool))
        group.create_task(consumption.watch_consumers(running.bus, list(sources), missing))
        for stream in sources:
            group.create_task(
                running.bus.consume(
                    stream,
                    consumption.taker(running.processor, running.store),
                    beat=running.liveness.beat(f"consumer.{stream}"),
                )
            )


def _database_check(running: Running) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        await running.pool.fetchval("select 1")
        return running.processor.database.problem

    return check


def _clock_check(running: Running) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return running.processor.database.clock_problem

    return check


def _bus_check(running: Running) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return None if running.bus.connected else "not connected"

    return check


def _consumers_check(missing: list[str]) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return f"missing: {', '.join(missing)}" if missing else None

    return check


@asynccontextmanager
async def _health_server(running: Running) -> AsyncIterator[None]:
    runner = web.AppRunner(health_app(running.liveness, running.readiness), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, running.settings.http_host, running.settings.http_port)
    await site.start()
    try:
        yield
    finally:
        await runner.cleanup()
