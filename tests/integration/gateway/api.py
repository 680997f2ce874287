"""A gateway under test: served over HTTP, its neighbours played by handing in what they tell.

What a neighbour tells goes the way that it goes in the system: as an envelope, decoded from its
bytes, numbered in its stream, through the processor. What the gateway asks of a neighbour is read
from its outbox.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import httpx2
from pydantic import SecretStr

from contracts.envelope import Envelope
from contracts.events import Event
from contracts.registry import decode
from devkit.ports import free_port
from runtime.clock import Clock, system_clock
from runtime.ids import new_id
from runtime.inbox import Delivery
from runtime.process import Running, assemble
from runtime.sealing import generate_sealing_key
from services.gateway.accounts import create_user
from services.gateway.main import build
from services.gateway.settings import GatewaySettings
from services.wiring import WIRING
from tests.support.environment import Database

E = TypeVar("E", bound=Event)
T = TypeVar("T")

PASSWORD: Final = "correct horse battery"
PATIENCE_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.01

CATALOG_KEY: Final = generate_sealing_key()
DEPLOYER_KEY: Final = generate_sealing_key()
REVENUE_KEY: Final = generate_sealing_key()


@dataclass
class Api:
    """The gateway, its address, and who plays its neighbours."""

    running: Running
    url: str
    stack: AsyncExitStack
    sequences: Counter[str] = field(default_factory=Counter)
    told: list[Envelope[Any]] = field(default_factory=list)

    async def person(self, *roles: str, email: str = "", name: str | None = None) -> "Person":
        """Return somebody with these roles, who is signed in."""
        address = email or f"{secrets.token_hex(6)}@example.com"
        await create_user(
            self.running, email=address, password=PASSWORD, roles=roles or ("user",), name=name
        )
        person = Person(self.client())
        answer = await person.asks("POST", "/api/session", {"email": address, "password": PASSWORD})
        assert answer.status_code == 204, answer.text
        person.id = (await person.gets("/api/me"))["id"]
        person.email = address
        return person

    def client(self) -> httpx2.AsyncClient:
        """Return a client of its own cookies, which is closed at the end of the test."""
        client = httpx2.AsyncClient(base_url=self.url, timeout=20)
        self.stack.push_async_callback(client.aclose)
        return client

    async def tells(
        self,
        stream: str,
        event: Event,
        *,
        correlation_id: str | None = None,
        seen: str = "",
        settled: bool = True,
    ) -> None:
        """Have a neighbour tell this, as the next of the stream; return once it is applied."""
        self.sequences[stream] += 1
        model: Any = Envelope
        envelope: Envelope[Any] = model[type(event)](
            id=new_id(),
            source=f"/tollgate/{event.service}",
            type=event.type_name(),
            subject=stream,
            time=self.running.clock.now(),
            dataschema=event.schema_id(),
            partitionkey=stream,
            sequence=self.sequences[stream],
            correlationid=correlation_id or new_id(),
            seen=seen,
            data=event,
        )
        body = envelope.to_bytes()
        self.told.append(envelope)
        done = asyncio.Event()

        async def settle() -> None:
            done.set()

        await self.running.processor.submit(
            Delivery(
                envelope=decode(event.type_name(), body),
                subject=event.bus_subject(),
                body=body,
                first_at=self.running.clock.now(),
                settle=settle,
            )
        )
        if settled:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await done.wait()
            parked = await self.running.pool.fetchval("select detail from inbox_waiting limit 1")
            assert parked is None, parked

    async def asked(self, kind: type[E], *, after: int = 0) -> Envelope[E]:
        """Return a request of this kind that the gateway put, once it has; the `after`th."""
        sql = "select body from outbox where subject = $1 order by position offset $2 limit 1"

        async def read() -> str | None:
            body: str | None = await self.running.pool.fetchval(sql, kind.bus_subject(), after)
            return body

        return decode(kind.type_name(), (await until(read)).encode())


@dataclass
class Person:
    """Somebody with a client of their own."""

    client: httpx2.AsyncClient
    id: str = ""
    email: str = ""

    async def asks(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> httpx2.Response:
        """Return what a call answers, whatever it is."""
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, **options)

    async def gets(self, path: str, **parameters: Any) -> Any:
        """Return what a read that succeeds answers."""
        answer = await self.asks("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def posts(self, path: str, body: Any, *, status: int = 201, **options: Any) -> Any:
        """Return what a POST answers with this status."""
        answer = await self.asks("POST", path, body, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def is_refused(
        self, method: str, path: str, body: Any = None, *, status: int, code: str, **options: Any
    ) -> Any:
        """Return the problem that a call is answered with."""
        answer = await self.asks(method, path, body, **options)
        assert answer.headers.get("content-type") == "application/problem+json", answer.text
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), problem
        assert problem["status"] == status
        assert problem["request_id"] == answer.headers["x-request-id"]
        return problem


async def until(read: Callable[[], Awaitable[T | None]]) -> T:
    """Return what `read` gives once it gives something; fail after a while."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await read()
            if found is not None:
                return found
            await asyncio.sleep(POLL_SECONDS)


def settings_for(database: Database, **changes: Any) -> GatewaySettings:
    """Return the settings of a gateway under test."""
    values: dict[str, Any] = {
        "postgres_dsn": SecretStr(database.dsn),
        "nats_user": "gateway",
        "nats_password": SecretStr("unused"),
        "http_port": free_port(),
        # No balancer sends anybody here: half a second for each of some hundred tests.
        "linger_seconds": 0,
        "master_key": SecretStr(secrets.token_urlsafe(32)),
        "catalog_sealing_public_key": CATALOG_KEY[1],
        "deployer_sealing_public_key": DEPLOYER_KEY[1],
        "revenue_sealing_public_key": REVENUE_KEY[1],
        "allow_local_repositories": True,
    }
    return GatewaySettings(**{**values, **changes})


@asynccontextmanager
async def running_api(
    database: Database, *, clock: Clock = system_clock, **changes: Any
) -> AsyncIterator[Api]:
    """Give a gateway that serves HTTP, without a bus."""
    settings = settings_for(database, **changes)
    service = build(settings)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(assemble(service, settings, WIRING, clock=clock))
        tasks = [asyncio.create_task(task(running), name=task.__name__) for task in service.tasks]
        url = f"http://127.0.0.1:{settings.http_port}"
        api = Api(running, url, stack)
        try:
            await _until_it_serves(api, tasks)
            yield api
        finally:
            running.stopping.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _until_it_serves(api: Api, tasks: list[asyncio.Task[Any]]) -> None:
    async with httpx2.AsyncClient() as client:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for task in tasks:
                    if task.done():
                        task.result()
                try:
                    answer = await client.get(f"{api.url}/healthz")
                except httpx2.TransportError:
                    await asyncio.sleep(POLL_SECONDS)
                    continue
                assert answer.status_code == 200, answer.text
                return
