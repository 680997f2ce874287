"""How a deployer under test runs: in the test's own process, or as one of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from typing_extensions import override

from contracts.envelope import Envelope
from runtime.clock import Clock, system_clock
from runtime.inbox import Delivery
from runtime.process import Running, assemble
from services.deployer.main import build
from services.deployer.settings import DeployerSettings
from services.wiring import WIRING
from tests.integration.deployer.driver import BOUND_SECONDS, Deployer
from tests.support.environment import RunningNats

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class HandledDeployer(Deployer):
    """A deployer in the test's own process, on a real database, that is handed its messages."""

    running: Running = field(init=False)

    @override
    async def hand_over(self, envelope: Envelope[Any]) -> None:
        """Submit the message, and return when it is handled."""
        done = asyncio.Event()

        async def settle() -> None:
            done.set()

        delivery = Delivery(
            envelope=envelope,
            subject=envelope.data.bus_subject(),
            body=envelope.to_bytes(),
            first_at=system_clock.now(),
            settle=settle,
        )
        await self.running.processor.submit(delivery)
        async with asyncio.timeout(BOUND_SECONDS):
            await done.wait()

    @asynccontextmanager
    async def process(
        self, settings: DeployerSettings | None = None, clock: Clock = system_clock
    ) -> AsyncIterator[None]:
        """Be a process of the deployer, that stops in good order."""
        settings = settings or self.settings
        service = build(settings)
        async with assemble(service, settings, WIRING, clock=clock) as self.running:
            tasks = [asyncio.create_task(task(self.running)) for task in service.tasks]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class DeployerProcess(Deployer):
    """A deployer as a process of its own, between a real bus and a real database."""

    bus: RunningNats = field(kw_only=True)
    folder: Path = field(kw_only=True)

    @override
    async def hand_over(self, envelope: Envelope[Any]) -> None:
        """Publish the message on the bus."""
        async with self.bus.connected(envelope.source.rpartition("/")[2]) as client:
            await client.jetstream().publish(
                envelope.data.bus_subject(),
                envelope.to_bytes(),
                headers={"Nats-Msg-Id": envelope.id, "content-type": "application/json"},
            )

    @asynccontextmanager
    async def process(self, **changed: Any) -> AsyncIterator[subprocess.Popen[bytes]]:
        """Run the deployer; the test ends it, or it is killed."""
        with (self.folder / "deployer.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 - it does not wait
                (sys.executable, "-m", "tollgate", "service", "deployer"),
                env=environment_of(self.settings, changed),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    @property
    @override
    def said(self) -> str:
        """Everything that its processes have logged."""
        return (self.folder / "deployer.log").read_text()


async def stop(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    """Send a signal and return the exit status."""
    process.send_signal(number)
    return await asyncio.to_thread(process.wait, BOUND_SECONDS)


def environment_of(settings: DeployerSettings, changed: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that tell a process these settings, and what is changed of them."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    environment = {"PATH": os.environ["PATH"]}
    for name, value in (values | dict(changed)).items():
        if value is None:
            continue
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        listed = ",".join(map(str, plain)) if isinstance(plain, tuple) else str(plain)
        environment[f"TOLLGATE_{name.upper()}"] = listed
    return environment
