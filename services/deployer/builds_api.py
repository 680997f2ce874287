"""The listener that builds report to, `/builds/<id>/…`: a token for each attempt, and nothing else.

| Call | Does |
|---|---|
| `GET job?runner=ID` | what to run, with which variables and bounds; to the first runner only |
| `GET source` | the module's archive |
| `POST heartbeat` | says that the runner lives; answers whether to stop |
| `POST logs?offset=N` | text that begins at byte N; answers where the log goes on; `done` and
`planned` beside it say how many resources are made, changed or removed, and of how many |
| `GET` `POST` `DELETE` `LOCK` `UNLOCK` `state` | Terraform's HTTP backend |
| `POST result` | how it ended, once |

Terraform has a token of its own, which opens nothing but `state`: a module's code can read it.
Answers 401 without one of the attempt's tokens, 409 where the attempt has ended, 410 where the data
key was destroyed, 423 where another has the lock, 503 while the database is away: try again then.
"""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, assert_never

import msgspec
import structlog
from aiohttp import web

from runtime.archive import ArchiveError, ArchiveStore
from runtime.process import Running
from runtime.processor import OUTAGES, UnavailableError
from runtime.refusal import Refusal
from runtime.sealing import DataKey, SealingError
from services.deployer import builds, commands, states
from services.deployer.builds import Lease
from services.deployer.handlers import ACTOR, EndBuild
from services.deployer.keys import KeyErasedError, data_key
from services.deployer.runner.job import Heartbeat, Job, LogEnd, Report
from services.deployer.settings import DeployerSettings
from services.deployer.terraform import resources_in
from services.deployer.traces import in_trace_of

BODY_BYTES_MAX: Final = 64 * 1024**2
LOG_PIECE_BYTES_MAX: Final = 1024**2
ERROR_LENGTH_MAX: Final = 8_000
LOCK_LENGTH_MAX: Final = 20_000
NO_STATE: Final = b""
"""What is kept where a state was deleted: a version like any other, so that none is ever lost."""
_CODE: Final = re.compile(r"[A-Z][A-Z_]{0,62}")
_RUNNER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
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
                web.delete(f"{base}/state", self._delete_state),
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
            if request.path.endswith("/result"):
                _log_refused(request, "unknown token")
            return web.json_response({"error": "unknown token"}, status=401)
        if lease.holder == "terraform" and not request.path.endswith("/state"):
            return web.json_response({"error": "this token is for the state only"}, status=403)
        request[_LEASE] = lease
        return await handler(request)

    async def _job(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        now = self._running.clock.now()
        runner = request.query.get("runner", "")
        if _RUNNER.fullmatch(runner) is None:
            return web.json_response({"error": "a runner has an id of its own"}, status=400)
        if not lease.running or not await builds.take(
            self._running.pool, lease, runner=runner, at=now
        ):
            return _stale()
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        variables = key.decrypt_json(lease.variables)
        job = Job(
            action=lease.action,
            program=self._settings.terraform,
            archive_digest=lease.archive_digest,
            archive_folder=lease.archive_folder,
            variables=variables,
            secrets=await self._secrets(lease, key),
            build_seconds_max=self._settings.build_seconds_max,
            heartbeat_seconds=self._settings.heartbeat_seconds,
            silence_seconds_max=self._settings.silence_seconds_max,
            stop_grace_seconds=self._settings.stop_grace_seconds,
            log_bytes_max=self._settings.log_bytes_max,
        )
        return _answer(job)

    async def _secrets(self, lease: Lease, key: DataKey) -> list[Any]:
        """Return the values that nobody may be shown, those of earlier builds among them."""
        inputs = await builds.sensitive_inputs(self._running.pool, lease)

        def values() -> list[Any]:
            found = []
            for ciphertext, names in inputs:
                variables = key.decrypt_json(ciphertext)
                found += [variables[name] for name in set(names) if name in variables]
            return found

        return await asyncio.to_thread(values)

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
        return _answer(Heartbeat(stop=lease.cancel_requested))

    async def _logs(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        body = await request.read()
        try:
            offset = _number(request, "offset")
            done, planned = _number(request, "done", "0"), _number(request, "planned", "0")
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        if len(body) > LOG_PIECE_BYTES_MAX:
            return web.json_response({"error": "the piece is too large"}, status=400)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return web.json_response({"error": "a log is UTF-8"}, status=400)
        if not lease.running:
            return _stale()
        end = await builds.keep_log(
            self._running.pool,
            lease,
            offset=offset,
            text=text.replace("\0", "?"),
            progress=(done, planned) if "planned" in request.query else None,
            bytes_max=self._settings.log_bytes_max,
            at=self._running.clock.now(),
        )
        self._wake_logs()
        return _answer(LogEnd(end=end))

    async def _result(self, request: web.Request) -> web.Response:
        """End the build as its runner says; of a stale attempt it is noted, and ends nothing."""
        lease = request[_LEASE]
        if not lease.running:
            _log_refused(request, "this attempt has ended", attempt=lease.attempt)
            return _stale()
        try:
            report = msgspec.json.decode(await request.read(), type=Report)
        except (ValueError, RecursionError) as error:
            return web.json_response({"error": repr(error)}, status=400)
        end = commands.End(
            build_id=lease.build_id,
            attempt=lease.attempt,
            ending=await self._ending(lease, report),
            **await states.standing(self._running.pool, lease.deployment_id, lease.build_id),
        )
        try:
            async with in_trace_of(self._running, lease.deployment_id):
                command = EndBuild(actor=ACTOR, deployment_id=lease.deployment_id, end=end)
                await self._running.processor.execute(command)
        except Refusal as refusal:
            _log_refused(request, refusal.detail, attempt=lease.attempt)
            return _stale()
        return web.json_response({})

    async def _ending(self, lease: Lease, report: Report) -> commands.Ending:
        match report.status:
            case "SUCCESS":
                key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
                return commands.Succeed(outputs=key.encrypt_json(report.outputs))
            case "CANCELLED" if lease.cancel_requested:
                return commands.Stopped()
            case "TIMED_OUT":
                return commands.TimeOut(limit_seconds=self._settings.build_seconds_max)
            case "FAILED" | "CANCELLED":
                return commands.Fail(
                    code=report.code if _CODE.fullmatch(report.code) else "BUILD_FAILED",
                    message=_sendable(report.message[:ERROR_LENGTH_MAX]),
                    platform_fault=report.platform_fault,
                )
            case _:
                assert_never(report.status)

    async def _read_state(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        ciphertext = await states.current_state(self._running.pool, lease.deployment_id)
        if ciphertext is None:
            return web.Response(status=404)
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        state = await asyncio.to_thread(key.decrypt, ciphertext)
        if state == NO_STATE:
            return web.Response(status=404)
        return web.Response(body=state, content_type="application/json")

    async def _write_state(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            resources = resources_in(body)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self._keep_state(request, body, resources)

    async def _delete_state(self, request: web.Request) -> web.Response:
        return await self._keep_state(request, NO_STATE, 0)

    async def _keep_state(self, request: web.Request, body: bytes, resources: int) -> web.Response:
        """Keep a state, current or as evidence; one that comes past another's lock is refused."""
        lease = request[_LEASE]
        holder = await states.lock_holder(self._running.pool, lease.deployment_id)
        named = request.query.get("ID")
        if holder is not None and named is not None and holder[0] != named:
            return _locked(holder[1])
        key = await data_key(self._running.pool, self._master_key, lease.deployment_id)
        current = await states.keep_state(
            self._running.pool,
            deployment_id=lease.deployment_id,
            build_id=lease.build_id,
            attempt=lease.attempt,
            body=await asyncio.to_thread(key.encrypt, body),
            resources=resources,
            at=self._running.clock.now(),
        )
        return web.json_response({}) if current else _stale()

    async def _lock(self, request: web.Request) -> web.Response:
        lease = request[_LEASE]
        info = await _lock_info(request)
        if not lease.running:
            return _stale()
        holder = await states.lock_state(
            self._running.pool,
            lease,
            lock_id=_lock_id(info),
            info=info,
            at=self._running.clock.now(),
        )
        return web.json_response({}) if holder is None else _locked(holder)

    async def _unlock(self, request: web.Request) -> web.Response:
        lock_id = _lock_id(await _lock_info(request))
        await states.unlock_state(self._running.pool, request[_LEASE], lock_id)
        return web.json_response({})


def _number(request: web.Request, name: str, default: str = "") -> int:
    """Return a whole number of the query; `ValueError` where it is none, or too large."""
    text = request.query.get(name, default)
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{name} is no whole number")
    return int(text)


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


async def _lock_info(request: web.Request) -> str:
    """Return what the one who locks says of themselves, as text that Postgres can hold."""
    body = (await request.read())[:LOCK_LENGTH_MAX]
    return _sendable(body.decode(errors="replace"))


def _lock_id(info: str) -> str:
    try:
        content = json.loads(info)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("ID"), str):
        raise web.HTTPBadRequest(text="a lock is a JSON object with an ID")
    return _sendable(content["ID"])


def _sendable(text: str) -> str:
    """Return the text without what neither JSON nor Postgres can carry."""
    return text.replace("\0", "?").encode(errors="replace").decode()


def _locked(holder: str) -> web.Response:
    return web.Response(status=423, text=holder, content_type="application/json")


def _answer(value: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _log_refused(request: web.Request, reason: str, **attempt: int) -> None:
    """Note a report that changes nothing, for whoever looks into what became of a build."""
    structlog.get_logger().warning(
        "report.refused", build_id=request.match_info.get("build_id"), reason=reason, **attempt
    )


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
