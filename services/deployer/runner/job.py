"""What the deployer and a runner say to each other, as both of them read it."""

from typing import Any, Literal

import msgspec

ReportStatus = Literal["SUCCESS", "FAILED", "CANCELLED", "TIMED_OUT"]


class Confinement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a build is kept apart on the machine that it runs on, and what it may use of it.

    In a room (`runner/namespaces.py`) it sees the system's programs and `readable`, and reaches
    public addresses and `networks`. `provider_mirror` is a folder or an https:// address that
    providers come from; from registries too only if `providers_direct`.
    """

    in_room: bool = False
    readable: list[str] = []
    networks: list[str] = []
    memory_bytes_max: int | None = None
    disk_bytes_max: int | None = None
    provider_mirror: str | None = None
    providers_direct: bool = True


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a runner is started with, on its standard input.

    `folder` is its own; Terraform runs in `home` inside of it, as the user `uid` where one is
    named. Seconds that it has to end in when it is told to stop are `interruption_seconds_max`.
    """

    url: str
    token: str
    terraform_token: str
    folder: str
    uid: int | None
    interruption_seconds_max: float
    confinement: Confinement = Confinement()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner is to do, and within which bounds. `secrets` are to be hidden in all it says.

    To create and to update are the same to Terraform: what differs is the state that is there.

    `program` is the Terraform to run, by name or path; none: the one that is on the runner's PATH.
    """

    action: Literal["CREATE", "UPDATE", "DESTROY"]
    program: str | None
    archive_digest: str
    archive_folder: str
    variables: dict[str, Any]
    secrets: list[Any]
    build_seconds_max: float
    heartbeat_seconds: float
    silence_seconds_max: float
    stop_grace_seconds: float
    log_bytes_max: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a heartbeat."""

    stop: bool


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a piece of log: the byte at which the log goes on."""

    end: int


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a build ended. `outputs` is what `terraform output -json` prints."""

    status: ReportStatus
    outputs: dict[str, Any] = {}
    code: str = ""
    message: str = ""
    platform_fault: bool = False
