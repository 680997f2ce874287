"""One build, from fetching its source to reporting how it ended.

While it runs, three things go on side by side: Terraform, the heartbeat that may tell it to stop,
and the log that is sent as it grows. What stops Terraform is written down once, the first wins.
"""

import asyncio
import json
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from runtime.archive import ArchiveError, digest_of, extract
from services.deployer import terraform
from services.deployer.runner.log_file import LogFile, Redactor
from services.deployer.runner.program import Program
from services.deployer.runner.reporting import Reporter, SilenceError, StaleError

JOB_SECONDS_MAX: Final = 60.0
PIECE_BYTES_MAX: Final = 65_536
LOG_SECONDS: Final = 0.1
ERROR_LENGTH_MAX: Final = 8_000
OUTPUT_BYTES_MAX: Final = 1024**2


@dataclass(eq=False)
class Failed(Exception):  # noqa: N818 - an outcome, told in the report
    """The build cannot go on; `platform_fault` where the module is not to blame."""

    code: str
    message: str
    platform_fault: bool = False


class BuildRun:
    """Carries out one build in its folder."""

    def __init__(self, reporter: Reporter, folder: Path) -> None:
        self._reporter = reporter
        self._folder = folder
        self._job: dict[str, Any] = {}
        self._log: LogFile | None = None
        self._sent = 0
        self._program: Program | None = None
        self._stop: str | None = None
        self._ending: asyncio.Task[None] | None = None
        self._errors: list[str] = []

    async def run(self) -> int:
        """Return 0 once the outcome is reported, 1 where nobody listened or wanted it."""
        try:
            answer = await self._reporter.insist("GET", "job", seconds_max=JOB_SECONDS_MAX)
        except (StaleError, SilenceError, ValueError):
            return 1
        self._job = json.loads(answer)
        redactor = Redactor(self._job["secrets"])
        self._log = LogFile(self._folder / "build.log", redactor, self._job["log_bytes_max"])
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop_because, "INTERRUPTED")
        watching = [
            asyncio.create_task(self._heartbeats()),
            asyncio.create_task(self._send_log_as_it_grows()),
            asyncio.create_task(self._time_limit()),
        ]
        try:
            report = await self._outcome()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        return await self._report(report)

    # What is done.

    async def _outcome(self) -> dict[str, Any]:
        try:
            outputs = await self._build()
        except Failed as failed:
            return self._ended(failed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the build ends and says so
            return self._ended(Failed("RUNNER_FAILED", repr(error), platform_fault=True))
        return {"status": "SUCCESS", "outputs": outputs}

    async def _build(self) -> dict[str, Any]:
        """Return the outputs; `Failed` where it does not come to that."""
        program = self._job["program"]
        if program is None:
            raise Failed(
                "TERRAFORM_NOT_FOUND", "there is no terraform or tofu here", platform_fault=True
            )
        module = await self._fetch_source()
        terraform.prepare(module, self._job["variables"])
        await self._step("init", terraform.init_words(program), module, "INIT_FAILED")
        await self._step("apply", terraform.apply_words(program), module, "APPLY_FAILED")
        return await self._outputs(program, module)

    async def _fetch_source(self) -> Path:
        self._say("Fetching the module")
        archive = await self._reporter.insist("GET", "source", seconds_max=JOB_SECONDS_MAX)
        if digest_of(archive) != self._job["archive_digest"]:
            raise Failed(
                "SOURCE_DAMAGED", "the source is not what was published", platform_fault=True
            )
        source = self._folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        try:
            await asyncio.to_thread(extract, archive, source)
        except ArchiveError as error:
            raise Failed("SOURCE_DAMAGED", str(error), platform_fault=True) from error
        return source / str(self._job["archive_folder"])

    async def _step(self, name: str, words: list[str], module: Path, code: str) -> None:
        self._say(f"Running {Path(words[0]).name} {name}")
        status = await self._execute(words, module, self._take)
        if status != 0 or self._stop is not None:
            message = self._errors[0] if self._errors else f"{name} ended with status {status}"
            raise Failed(code, message[:ERROR_LENGTH_MAX])

    async def _outputs(self, program: str, module: Path) -> dict[str, Any]:
        printed: list[str] = []
        status = await self._execute(terraform.output_words(program), module, printed.append)
        text = "\n".join(printed)
        if status != 0 or len(text) > OUTPUT_BYTES_MAX:
            raise Failed("OUTPUTS_UNREADABLE", "the outputs cannot be read, or are too large")
        outputs: dict[str, Any] = json.loads(text)
        return outputs

    async def _execute(self, words: list[str], module: Path, take: Any) -> int:
        if self._stop is not None:
            raise Failed(self._stop, "the build was stopped before it began")
        environment = terraform.environment(
            home=self._folder,
            state_url=f"{self._reporter.url}/state",
            user="build",
            token=self._reporter.token,
        )
        self._program = Program(words, folder=module, environment=environment)
        try:
            return await self._program.run(take)
        finally:
            self._program = None

    # What goes on meanwhile.

    async def _heartbeats(self) -> None:
        """Say that we live, hear whether to stop, and stop when nobody answers for too long."""
        while True:
            try:
                answer = json.loads(await self._reporter.ask("POST", "heartbeat"))
                if answer["stop"]:
                    self._stop_because("CANCELLED")
            except StaleError:
                self._stop_because("STALE")
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                if self._reporter.silence_seconds > self._job["silence_seconds_max"]:
                    self._stop_because("NOBODY_LISTENED")
            await asyncio.sleep(self._job["heartbeat_seconds"])

    async def _time_limit(self) -> None:
        await asyncio.sleep(self._job["build_seconds_max"])
        self._stop_because("TIMED_OUT")

    def _stop_because(self, reason: str) -> None:
        """Interrupt Terraform, and kill it after the grace; the first reason counts."""
        if self._stop is not None:
            return
        self._stop = reason
        self._say(f"Stopping: {reason.lower().replace('_', ' ')}")
        self._ending = asyncio.get_running_loop().create_task(self._end_program())

    async def _end_program(self) -> None:
        program = self._program
        if program is None:
            return
        program.interrupt()
        await asyncio.sleep(self._job["stop_grace_seconds"])
        program.kill()

    async def _send_log_as_it_grows(self) -> None:
        while True:
            await asyncio.sleep(LOG_SECONDS)
            try:
                await self._send_log()
            except StaleError:
                return
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                continue

    async def _send_log(self) -> None:
        """Send what has not been heard yet; the answer says where the log goes on."""
        while self._log is not None and (piece := self._log.read(self._sent, PIECE_BYTES_MAX)):
            answer = await self._reporter.ask("POST", f"logs?offset={self._sent}", body=piece)
            self._sent = int(json.loads(answer)["end"])

    # How it ends.

    def _ended(self, failed: Failed) -> dict[str, Any]:
        self._say(f"Failed: {failed.message}")
        status = self._stop if self._stop in {"CANCELLED", "TIMED_OUT"} else "FAILED"
        platform = {
            "INTERRUPTED": "the platform was stopped while the build ran",
            "NOBODY_LISTENED": "the runner could not report, and stopped the build itself",
        }
        if self._stop in platform:
            failed = Failed(str(self._stop), platform[str(self._stop)], platform_fault=True)
        return {
            "status": status,
            "code": failed.code,
            "message": failed.message,
            "platform_fault": failed.platform_fault,
        }

    async def _report(self, report: dict[str, Any]) -> int:
        """Send the rest of the log, then the outcome, for as long as somebody may listen."""
        deadline = time.monotonic() + self._job["silence_seconds_max"]
        try:
            while True:
                try:
                    await self._send_log()
                    break
                except (aiohttp.ClientError, OSError, TimeoutError):
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(LOG_SECONDS)
            seconds_max = max(deadline - time.monotonic(), 1.0)
            final = f"logs?offset={self._sent}&final=1"
            await self._reporter.insist("POST", final, body=b"", seconds_max=seconds_max)
            body = json.dumps(report).encode()
            await self._reporter.insist("POST", "result", body=body, seconds_max=seconds_max)
        except (StaleError, SilenceError, ValueError, aiohttp.ClientError, OSError) as error:
            print(f"not reported: {error!r}", flush=True)  # noqa: T201 - the runner's own log
            return 1
        self._clean_up()
        return 0

    def _clean_up(self) -> None:
        """Remove the source, the variables and the log: the deployer has what it needs of them."""
        if self._log is not None:
            self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, line: str) -> None:
        """Keep a line of Terraform's, as people read it, and the errors that it tells."""
        text, error = terraform.readable(line)
        if error is not None:
            self._errors.append(error)
        self._say(text)

    def _say(self, text: str) -> None:
        if self._log is not None:
            self._log.write(text)
