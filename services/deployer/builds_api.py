"""The listener that builds report to, `/builds/<id>/…`: a token for each attempt, and nothing else.

| Call | Does |
|---|---|
| `GET job` | what to run, with which variables and bounds |
| `GET source` | the module's archive |
| `POST heartbeat` | says that the runner lives; answers whether to stop |
| `POST logs?offset=N` | text that begins at byte N; answers where the log goes on |
| `GET` `POST` `LOCK` `UNLOCK` `state` | Terraform's HTTP backend |
| `POST result` | how it ended, once |

Answers 401 without the attempt's token, 409 where the attempt has ended, 503 while the database is
away: a runner tries again.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from runtime.archive import ArchiveError, ArchiveStore
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from runtime.sealing import DataKey, SealingError
from services.deployer import builds, decider
from services.deployer.builds import Lease
from services.deployer.handlers import ACTOR, EndBuild
from services.deployer.keys import KeyErasedError, data_key
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import find_terraform, resources_in

BODY_BYTES_MAX: Final = 64 * 1024**2
LOG_PIECE_BYTES_MAX: Final = 1024**2
ERROR_LENGTH_MAX: Final = 8_000
_LEASE: Final = web.RequestKey("lease", Lease)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BuildsApi:
    """Answers runners and their Terraform."""

    def __init__(
        self,
        running: Running,
        settings: DeployerSettings,
        *,
        archives: ArchiveStore,
        master_key: DataKey,
        wake_logs: Callable[[], None],
    ) -> None:
        self._running = running
        self._settings = settings
        self._archives = archives
        self._master_key = master_key
        self._wake_logs = wake_logs

    def app(self) -> web.Application:
        """Return the listener's application."""
        app = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[_while_away, self._authenticate]
        )
        base = "/builds/{build_id}"
        app.add_routes(
            [
                web.get(f"{base}/job", self._job),
                web.get(f"{base}/source", self._source),
                web.post(f"{base}/heartbeat", self._heartbeat),
                web.post(f"{base}/logs", self._logs),
                web.post(f"{base}/result", self._result),
                web.get(f"{base}/state", self._read_state),
                web.post(f"{base}/state", self._write_state),
                web.route("LOCK", f"{base}/state", self._lock),
                web.route("UNLOCK", f"{base}/state", self._unlock),
            ]
        )
        return app

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        token = _token(request)
        lease = None
        if token is not None:
            build_id = request.match_info.get("build_id", "")
            lease = await builds.lease_of(self._running.pool, build_id, token)
        if lease is None:
            return web.json_response({"error": "unknown token"}, status=401)
        request[_LEASE] = lease
        return await handler(request)

    async def _job(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        if not lease.running:
            return _stale()
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        variables = key.decrypt_json(lease.variables)
        return web.json_response(
            {
                "program": find_terraform(self._settings.terraform),
                "archive_digest": lease.archive_digest,
                "archive_folder": lease.archive_folder,
                "variables": variables,
                "secrets": [variables[name] for name in lease.sensitive if name in variables],
                "build_seconds_max": self._settings.build_seconds_max,
                "heartbeat_seconds": self._settings.heartbeat_seconds,
                "silence_seconds_max": self._settings.silence_seconds_max,
                "stop_grace_seconds": self._settings.stop_grace_seconds,
                "log_bytes_max": self._settings.log_bytes_max,
            }
        )

    async def _source(self, request: web.Request) -> web.Response:
        try:
            body = await asyncio.to_thread(self._archives.get, request[_LEASE].archive_digest)
        except ArchiveError as error:
            return web.json_response({"error": str(error)}, status=404)
        return web.Response(body=body, content_type="application/x-tar")

    async def _heartbeat(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        if not lease.running:
            return _stale()
        await builds.renew(self._running.pool, lease, self._running.clock.now())
        return web.json_response({"stop": lease.cancel_requested})

    async def _logs(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        offset = request.query.get("offset", "")
        body = await request.read()
        if not offset.isdigit() or len(body) > LOG_PIECE_BYTES_MAX:
            return web.json_response({"error": "offset or size"}, status=400)
        end = await builds.keep_log(
            self._running.pool,
            lease,
            offset=int(offset),
            size=len(body),
            text=body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}"),
            at=self._running.clock.now(),
            final=request.query.get("final") == "1",
        )
        self._wake_logs()
        return web.json_response({"end": end})

    async def _result(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        if not lease.running:
            return _stale()
        try:
            report = json.loads(await request.read())
            ending = await self._ending(lease, report)
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        end = decider.End(
            build_id=lease.build_id,
            attempt=lease.attempt,
            ending=ending,
            owns_resources=await builds.owns_resources(self._running.pool, lease.deployment_id),
        )
        command = EndBuild(actor=ACTOR, deployment_id=lease.deployment_id, end=end)
        try:
            await self._running.processor.execute(command)
        except Refusal:
            return _stale()
        return web.json_response({})

    async def _ending(self, lease: Lease, report: dict[str, Any]) -> decider.Ending:
        match report["status"]:
            case "SUCCESS":
                key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
                return decider.Succeed(outputs=key.encrypt_json(report["outputs"]))
            case "CANCELLED" if lease.cancel_requested:
                return decider.Stopped()
            case "TIMED_OUT":
                return decider.TimeOut(limit_seconds=self._settings.build_seconds_max)
            case "FAILED" | "CANCELLED":
                return decider.Fail(
                    code=str(report["code"]),
                    message=str(report["message"])[:ERROR_LENGTH_MAX].replace(
                        "\0", "\N{REPLACEMENT CHARACTER}"
                    ),
                    platform_fault=bool(report["platform_fault"]),
                )
            case status:
                raise ValueError(f"unknown status {status!r}")

    async def _read_state(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        ciphertext = await builds.current_state(self._running.pool, lease.deployment_id)
        if ciphertext is None:
            return web.Response(status=404)
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        return web.Response(body=key.decrypt(ciphertext), content_type="application/json")

    async def _write_state(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        body = await request.read()
        try:
            resources = resources_in(body)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        current = await builds.keep_state(
            self._running.pool,
            lease,
            body=key.encrypt(body),
            resources=resources,
            at=self._running.clock.now(),
        )
        return web.json_response({}) if current else _stale()

    async def _lock(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        if not lease.running:
            return _stale()
        info = (await request.read()).decode(errors="replace")
        holder = await builds.lock_state(
            self._running.pool,
            lease,
            lock_id=_lock_id(info),
            info=info,
            at=self._running.clock.now(),
        )
        if holder is None:
            return web.json_response({})
        return web.Response(status=423, text=holder, content_type="application/json")

    async def _unlock(self, request: web.Request) -> web.Response:
        info = (await request.read()).decode(errors="replace")
        await builds.unlock_state(self._running.pool, request[_LEASE], _lock_id(info))
        return web.json_response({})


def _token(request: web.Request) -> str | None:
    """Return the token: a runner's as bearer, Terraform's as the password of basic."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer":
        return value
    if scheme == "Basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except ValueError:
            return None
    return None


def _lock_id(info: str) -> str:
    try:
        content = json.loads(info)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text="a lock is a JSON object")
    return str(content.get("ID", ""))


def _stale() -> web.Response:
    return web.json_response({"error": "this attempt has ended"}, status=409)


@web.middleware
async def _while_away(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say 503 where it is worth trying again, and 410 where the key was destroyed."""
    try:
        return await handler(request)
    except (*OUTAGES, UnavailableError) as error:
        structlog.get_logger().warning("builds.postponed", error=repr(error))
        return web.json_response({"error": "try again"}, status=503)
    except (KeyErasedError, SealingError) as error:
        return web.json_response({"error": str(error)}, status=410)
