"""What is done for a deployment long after it was asked for stays in the trace of who asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.outbox import last_traceparent
from runtime.process import Running
from runtime.spans import within
from services.deployer.handlers import deployment_stream


@asynccontextmanager
async def in_trace_of(running: Running, deployment_id: str) -> AsyncIterator[None]:
    """Let commands of the block go on in the trace of what the deployment's last message told."""
    traceparent = await last_traceparent(running.pool, deployment_stream(deployment_id))
    with within(traceparent):
        yield
