"""One build, from fetching its source to reporting how it ended.

While it runs, three things go on side by side: Terraform, the heartbeat that may tell it to stop,
and the log that is sent as it grows. Why it is stopped is written down once; the first reason wins.
"""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from runtime.clock import monotonic_seconds
from runtime.ids import new_id
from services.deployer.runner.job import Heartbeat, Job, LogEnd, Order, Report, ReportStatus
from services.deployer.runner.log_file import LogFile, Pieces, Redactor
from services.deployer.runner.output_secrets import OutputSecrets
from services.deployer.runner.reporting import (
    NOT_NOW,
    SOURCE_SECONDS_MAX,
    RefusedError,
    Reporter,
    SilenceError,
    StaleError,
    until,
)
from services.deployer.runner.state_proxy import StateProxy
from services.deployer.runner.terraform_build import (
    PARKED_STATE_FILE,
    Failed,
    Progress,
    TerraformBuild,
    unsaved_states,
)

JOB_SECONDS_MAX: Final = 60.0
REPORT_SECONDS_MAX: Final = 3_600.0
PIECE_BYTES_MAX: Final = 65_536
LOG_SECONDS: Final = 0.1
WATCH_SECONDS: Final = 0.1
ERROR_LENGTH_MAX: Final = 8_000
UNRECORDED: Final = (
    "Terraform was ended before it wrote down all that it had made. These may exist, and no state "
    "has them, so that they have to be removed by hand:"
)
UNRECORDED_TOLD_MAX: Final = 20

Reason = Literal["CANCELLED", "TIMED_OUT", "INTERRUPTED", "NOBODY_LISTENED", "STALE"]
SAID: Final[dict[Reason, str]] = {
    "CANCELLED": "the build was cancelled",
    "TIMED_OUT": "the build took too long",
    "INTERRUPTED": "the platform was stopped while the build ran",
    "NOBODY_LISTENED": "the runner could not report for too long, and stopped the build itself",
    "STALE": "the platform had ended the build",
}


async def carry_out(order: Order, reporter: Reporter) -> int:
    """Return 0 once the build's outcome is reported, 1 where nobody listened or wanted it."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    folder = Path(order.folder)
    try:
        path = f"job?runner={new_id()}"
        answer = await reporter.insist("GET", path, worth_it=until(JOB_SECONDS_MAX))
        job = msgspec.json.decode(answer, type=Job)
        run = BuildRun(order, job, reporter)
        parked = folder / PARKED_STATE_FILE
        url = f"{order.url}/state"
        async with StateProxy(url, parked, run.is_going_on, run.output_secrets) as state:
            await run.carry_out(state, stop)
    except (SilenceError, RefusedError, ValueError) as error:
        _note(f"not reported: {error!r}")
        return 1
    except StaleError as error:
        _note(f"not wanted any more: {error}")
    # The deployer has what it needs of the source, the variables and the log.
    shutil.rmtree(folder, ignore_errors=True)
    return 0


class BuildRun:
    """Carries out one build in its folder."""

    def __init__(self, order: Order, job: Job, reporter: Reporter) -> None:
        self._order = order
        self._job = job
        self._reporter = reporter
        self._redactor = Redactor(job.secrets)
        self.output_secrets = OutputSecrets(self._redactor.add)
        path = Path(order.folder) / "build.log"
        self._log = LogFile(path, self._redactor, job.log_bytes_max)
        self._terraform: TerraformBuild
        self._heard_at = monotonic_seconds()
        self._reason: Reason | None = None
        self._something_said = asyncio.Event()
        self._sent = 0
        self._progress_sent: Progress = (0, None)

    def is_going_on(self) -> bool:
        """Return whether nothing has told the build to stop."""
        return self._reason is None

    async def carry_out(self, state: StateProxy, told_to_stop: asyncio.Event) -> None:
        """Build and report; to the very end the heartbeat says that we live.

        Raises `StaleError` where the attempt has ended meanwhile, `SilenceError` where nobody
        listened to the outcome for too long.
        """
        self._terraform = TerraformBuild(
            self._order,
            self._job,
            state=state,
            say=self._say,
            pieces=Pieces(self._redactor),
            secrets=self.output_secrets,
        )
        watching = [
            asyncio.create_task(each)
            for each in (
                self._heartbeats(),
                self._watch(told_to_stop),
                self._send_log_as_it_grows(),
            )
        ]
        try:
            await self._report(await self._outcome())
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            self._log.close()

    # What is done.

    async def _outcome(self) -> Report:
        try:
            outputs = await self._build()
        except Failed as failure:
            failed = failure
        except StaleError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the build ends and says so
            failed = Failed("RUNNER_FAILED", repr(error), platform_fault=True)
        else:
            return Report(status="SUCCESS", outputs=outputs)
        return self._ended(failed, await asyncio.to_thread(self._terraform.unrecorded))

    async def _build(self) -> dict[str, Any]:
        """Return the outputs; `Failed` where it does not come to that. What is gone has none.

        An apply that ended well has made everything, whatever it was told meanwhile: the build is
        a success.
        """
        self._say("Fetching the module")
        await self._terraform.unpack(await self._source())
        destroys = self._job.action == "DESTROY"
        change = self._terraform.destroy if destroys else self._terraform.apply
        for step in (self._terraform.init, change):
            if self._reason is not None:
                raise Failed(self._reason, SAID[self._reason])
            await step()
        return {} if destroys else await self._terraform.outputs()

    async def _source(self) -> bytes:
        try:
            return await self._reporter.insist(
                "GET",
                "source",
                seconds_max=SOURCE_SECONDS_MAX,
                worth_it=self.is_going_on,
            )
        except SilenceError as error:
            raise Failed("SOURCE_UNREACHABLE", str(error), platform_fault=True) from error
        except RefusedError as error:
            raise Failed("SOURCE_MISSING", str(error), platform_fault=True) from error

    # What goes on meanwhile.

    @property
    def _silence_seconds(self) -> float:
        return monotonic_seconds() - self._heard_at

    async def _heartbeats(self) -> None:
        """Say that we live, and hear whether to stop.

        Only this counts as being heard, from when it was said: the deployer counts from no earlier.
        """
        while True:
            begun_at = monotonic_seconds()
            try:
                answer = await self._reporter.ask("POST", "heartbeat")
                heartbeat = msgspec.json.decode(answer, type=Heartbeat)
            except StaleError:
                self._stop_because("STALE")
            except (*NOT_NOW, RefusedError, ValueError) as error:
                _note(f"not heard: {error}")
            else:
                self._heard_at = begun_at
                if heartbeat.stop:
                    self._stop_because("CANCELLED")
            await asyncio.sleep(self._job.heartbeat_seconds)

    async def _watch(self, told_to_stop: asyncio.Event) -> None:
        """Stop the build when we are told to, nobody hears of us for too long, or time is up."""
        in_time = until(self._job.build_seconds_max)
        while True:
            if told_to_stop.is_set():
                self._stop_because("INTERRUPTED")
            if self._silence_seconds > self._job.silence_seconds_max:
                self._stop_because("NOBODY_LISTENED")
            if not in_time():
                self._stop_because("TIMED_OUT")
            await asyncio.sleep(WATCH_SECONDS)

    def _stop_because(self, reason: Reason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        grace = self._job.stop_grace_seconds
        if reason == "INTERRUPTED":
            grace = min(grace, self._order.interruption_seconds_max / 2)
        if self._terraform.stop(grace):
            self._say(f"Stopping: {SAID[reason]}")

    def _say(self, text: str) -> None:
        self._log.write(text)
        self._something_said.set()

    async def _send_log_as_it_grows(self) -> None:
        """Send a line at once where nothing was said lately, else what has gathered meanwhile."""
        while True:
            await self._something_said.wait()
            self._something_said.clear()
            try:
                await self._send_log()
            except (StaleError, RefusedError) as error:
                _note(f"log not wanted: {error!r}")
                return
            except (*NOT_NOW, ValueError) as error:
                _note(f"log not heard: {error}")
                self._something_said.set()
                await asyncio.sleep(self._job.heartbeat_seconds)
            await asyncio.sleep(LOG_SECONDS)

    async def _send_log(self) -> None:
        """Send what has not been heard yet: the log's next pieces, and how far Terraform is.

        Of a log that is full nothing comes any more, and progress is told alone.
        """
        while piece := self._log.read(offset := self._sent, PIECE_BYTES_MAX):
            await self._send_piece(piece)
            if self._sent == offset:
                _note("the log is longer than is kept")
                return
        if self._terraform.progress != self._progress_sent:
            await self._send_piece(b"")

    async def _send_piece(self, piece: bytes) -> None:
        """Send a piece; the answer says where the log goes on."""
        progress = done, planned = self._terraform.progress
        path = f"logs?offset={self._sent}"
        if planned is not None:
            path = f"{path}&done={done}&planned={planned}"
        answer = await self._reporter.ask("POST", path, body=piece)
        self._sent = msgspec.json.decode(answer, type=LogEnd).end
        self._progress_sent = progress

    # How it ends.

    def _ended(self, failed: Failed, unrecorded: list[str]) -> Report:
        status: ReportStatus = "FAILED"
        match self._reason:
            case "CANCELLED" | "TIMED_OUT" as asked_for:
                status = asked_for
            case "INTERRUPTED" | "NOBODY_LISTENED" | "STALE" as reason:
                failed = Failed(reason, SAID[reason], platform_fault=True)
            case None:
                pass
        message = self._redactor.clean(failed.message)[:ERROR_LENGTH_MAX]
        self._say(f"Failed: {message}")
        if unrecorded:
            self._say("\n".join((UNRECORDED, *unrecorded)))
            few = [UNRECORDED, *unrecorded[:UNRECORDED_TOLD_MAX]]
            if len(unrecorded) > UNRECORDED_TOLD_MAX:
                few.append(f"and {len(unrecorded) - UNRECORDED_TOLD_MAX} more, which the log names")
            told = self._redactor.clean("\n".join(few))[: ERROR_LENGTH_MAX // 2]
            message = f"{message[: ERROR_LENGTH_MAX // 2 - 1]}\n{told}"
        return Report(
            status=status, code=failed.code, message=message, platform_fault=failed.platform_fault
        )

    async def _report(self, report: Report) -> None:
        """Say all that is left to say, the outcome last, for as long as somebody may listen.

        Terraform has ended, so that nothing is lost by trying for longer than it may run alone.
        """
        folder = Path(self._order.folder)
        for state in await asyncio.to_thread(unsaved_states, folder, self._job.archive_folder):
            await self._insist_on("state", state)
        while True:
            try:
                await self._send_log()
                break
            except NOT_NOW as error:
                if not self._is_worth_reporting():
                    raise SilenceError("log") from error
            except RefusedError as error:
                _note(f"log refused: {error}")
                break
            await asyncio.sleep(self._job.heartbeat_seconds)
        await self._insist_on("result", msgspec.json.encode(report))

    async def _insist_on(self, path: str, body: bytes) -> None:
        await self._reporter.insist("POST", path, body=body, worth_it=self._is_worth_reporting)

    def _is_worth_reporting(self) -> bool:
        return self._silence_seconds < REPORT_SECONDS_MAX


def _note(text: str) -> None:
    """Write to the runner's own log, which is for whoever looks after the platform."""
    print(text, flush=True)  # noqa: T201 - the standard output is that log
