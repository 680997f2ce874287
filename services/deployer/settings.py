"""What the deployer is told from outside, beyond what every service is."""

import tempfile
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from runtime.settings import RuntimeSettings
from services.deployer.terraform import is_address

INTERRUPTION_SHARE: Final = 0.6
"""How much of the time that a stop may take interrupted runners have."""

INTERRUPTION_SECONDS_MIN: Final = 2.0


class DeployerSettings(RuntimeSettings):
    """The deployer's settings."""

    archive_url: Annotated[
        str, Field(description="where modules' sources are kept: file:///…, gs://… or s3://…")
    ]
    sealing_key: Annotated[
        SecretStr,
        Field(description="own X25519 private JWK, or a set: opens deployments' data keys"),
    ]
    work_dir: Annotated[Path, Field(description="a folder of this process's own, for builds")] = (
        Path(tempfile.gettempdir()) / "tollgate-deployer"
    )
    builds_host: Annotated[
        str, Field(description="address of the listener that builds report to")
    ] = "127.0.0.1"
    builds_port: Annotated[int, Field(ge=0, le=65_535, description="its port")] = 0
    terraform: Annotated[
        str | None, Field(description="the terraform or tofu to run; none: found on the PATH")
    ] = None
    first_build_uid: Annotated[
        int,
        Field(ge=1_000, le=60_000_000, description="as root, builds run as this user and the next"),
    ] = 60_706
    concurrent_builds_max: Annotated[
        int, Field(ge=1, le=256, description="how many builds run at a time")
    ] = 4
    build_seconds_max: Annotated[
        int, Field(ge=1, le=86_400, description="how long a build may take")
    ] = 3_600
    heartbeat_seconds: Annotated[
        float, Field(gt=0, le=60, description="how often a runner reports")
    ] = 1.0
    silence_seconds_max: Annotated[
        float, Field(gt=0, le=3_600, description="a runner that cannot report for so long stops")
    ] = 60.0
    stop_grace_seconds: Annotated[
        float, Field(gt=0, le=600, description="from SIGINT to SIGKILL of Terraform")
    ] = 30.0
    lost_after_seconds: Annotated[
        float, Field(gt=0, le=7_200, description="a build nobody heard of for so long is lost")
    ] = 120.0
    log_bytes_max: Annotated[
        int, Field(ge=65_536, le=2**30, description="how much of a build's log is kept")
    ] = 16 * 1024**2

    builds_finish_seconds: Annotated[
        float, Field(ge=0, le=7_200, description="how long a stop waits for builds to end")
    ] = 0.0
    builds_outlive_stop: Annotated[
        bool, Field(description="builds go on after a stop, for the next process at this port")
    ] = False
    retention_check_seconds: Annotated[
        float, Field(ge=0.1, le=86_400, description="how often it is looked for what is too old")
    ] = 3_600.0
    build_memory_mib_max: Annotated[
        int, Field(ge=64, le=2**20, description="memory that a build on this machine may use")
    ] = 4_096
    build_disk_mib_max: Annotated[
        int, Field(ge=16, le=2**24, description="disk that a build on this machine may use")
    ] = 8_192
    build_readable_paths: Annotated[
        tuple[Path, ...],
        NoDecode,
        Field(
            description="files and folders that builds may read beside the system's, with commas"
        ),
    ] = ()
    build_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        NoDecode,
        Field(description="private networks that builds may reach, as CIDRs with commas"),
    ] = ()
    provider_mirror: Annotated[
        str | None,
        Field(description="where providers come from: an absolute folder, or https://…/"),
    ] = None
    providers_direct: Annotated[
        bool, Field(description="providers that are in no mirror's folder come from registries")
    ] = True

    executor: Annotated[
        Literal["local", "cloud_build"],
        Field(description="where builds run: on this machine, or in Google Cloud Build"),
    ] = "local"
    builds_url: Annotated[
        str | None, Field(description="where runners elsewhere reach the listener: https://…")
    ] = None
    runner_public_key: Annotated[
        str | None, Field(description="X25519 public key as JWK: runners elsewhere have the other")
    ] = None
    google_project: Annotated[
        str | None, Field(description="the Google Cloud project that builds run in")
    ] = None
    cloud_build_region: Annotated[str, Field(description="its region for builds")] = "global"
    cloud_build_topic: Annotated[
        str, Field(description="the Pub/Sub topic that the trigger listens to")
    ] = "tollgate-builds"
    cloud_build_subscription: Annotated[
        str, Field(description="the subscription to the project's topic cloud-builds")
    ] = "tollgate-cloud-builds"
    cloud_build_url: Annotated[str, Field(description="Cloud Build's API")] = (
        "https://cloudbuild.googleapis.com"
    )
    cloud_build_queue_seconds_max: Annotated[
        float, Field(gt=0, le=86_400, description="how long a build may stand in its queue")
    ] = 3_600.0
    cloud_build_silence_seconds_max: Annotated[
        float, Field(gt=0, le=3_600, description="it is asked where it notifies nothing so long")
    ] = 60.0

    @property
    def interruption_seconds(self) -> float:
        """How long interrupted runners have to stop and report, within what a stop may take."""
        return (self.drain_seconds - self.builds_finish_seconds) * INTERRUPTION_SHARE

    @model_validator(mode="after")
    def _a_stop_has_time_to_wait_for_builds(self) -> Self:
        if self.drain_seconds - self.builds_finish_seconds < INTERRUPTION_SECONDS_MIN:
            raise ValueError(
                f"TOLLGATE_DRAIN_SECONDS must be {INTERRUPTION_SECONDS_MIN:g} more than "
                "TOLLGATE_BUILDS_FINISH_SECONDS at least, to interrupt what has not ended by then"
            )
        if self.builds_outlive_stop and self.builds_port == 0:
            raise ValueError(
                "TOLLGATE_BUILDS_OUTLIVE_STOP needs a TOLLGATE_BUILDS_PORT that stays the same: "
                "that is where builds look for the next process"
            )
        return self

    @model_validator(mode="after")
    def _cloud_build_has_what_it_needs(self) -> Self:
        needed = ("google_project", "builds_url", "runner_public_key")
        missing = [f"TOLLGATE_{name.upper()}" for name in needed if getattr(self, name) is None]
        if self.executor == "cloud_build" and missing:
            raise ValueError(f"the executor cloud_build needs {', '.join(missing)}")
        return self

    @field_validator("provider_mirror")
    @classmethod
    def _a_mirror_is_a_folder_or_an_address(cls, mirror: str | None) -> str | None:
        if mirror is None or Path(mirror).is_absolute():
            return mirror
        if is_address(mirror) and mirror.endswith("/"):
            return mirror
        raise ValueError("a mirror is an absolute folder, or an address https://…/ with a slash")

    @field_validator("build_readable_paths", "build_networks", mode="before")
    @classmethod
    def _are_listed_with_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("build_readable_paths")
    @classmethod
    def _what_is_readable_is_absolute(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        if not all(path.is_absolute() for path in paths):
            raise ValueError("these paths are absolute")
        return paths

    @model_validator(mode="after")
    def _a_runner_stops_before_it_is_declared_dead(self) -> Self:
        """Nothing else makes a lease sound: the stop, its grace and a beat fit into the wait."""
        needed = self.silence_seconds_max + self.stop_grace_seconds + self.heartbeat_seconds
        if self.lost_after_seconds <= needed:
            raise ValueError(
                "TOLLGATE_LOST_AFTER_SECONDS must be more than SILENCE_SECONDS_MAX + "
                f"STOP_GRACE_SECONDS + HEARTBEAT_SECONDS, here {needed:g}"
            )
        return self
