"""Builds that wait until a test lets them go on, or fail if it says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.repositories import GATED, gated_repository
from tests.support.folders import reachable_folder
from tests.support.story import Story, module, story, sync


@contextmanager
def gated_story(**environment: str) -> Iterator[tuple[Story, Path]]:
    """Run a system, and give a folder that its builds may read: put gates there."""
    with reachable_folder() as gates:
        readable = {"TOLLGATE_BUILD_READABLE_PATHS": str(gates)}
        with story(environment=readable | environment) as told:
            yield told, gates


@dataclass
class Gate:
    """A folder that the builds of one deployment look into."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)

    def open(self) -> None:
        """Let builds go on."""
        (self.folder / "open").touch()

    def close(self) -> None:
        """Let builds wait."""
        (self.folder / "open").unlink(missing_ok=True)

    def breaks(self, broken: bool) -> None:
        """Let builds that go on fail, or not any more."""
        (self.folder / "broken").touch() if broken else (self.folder / "broken").unlink()

    def values(self, word: str) -> dict[str, Any]:
        """Return the module's variables."""
        return {"gate": str(self.folder), "word": word}


def publish_gated(told: Story, awarded: int) -> Any:
    """Publish the module, have the user sign up with credits; return the module's card."""
    url = gated_repository(told.folder / "gated-modules")
    told.admin.patches("/api/settings", {"platform_repository": {"url": url, "branch": "main"}})
    report = sync(told.admin, "platform")
    assert report["status"] == "DONE", report
    told.user.signs_up()
    award = {"user_id": told.user.id, "credits": awarded, "reason": "to begin with"}
    told.admin.posts("/api/credits/awards", award)
    return module(told.user, GATED)
