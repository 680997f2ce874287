"""What was read of each repository last, so that a sync of the same commit reads nothing again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.catalog.reading_messages import KnownModule
from services.catalog.sync_plan import (
    FoundModule,
    NotModule,
    ReadModule,
    RefusedModule,
    SameModule,
    first_passed_over,
)

SCOPES_MAX: Final = 500
REFUSED_MAX: Final = 50
"""With more refused directories than this, a repository is read again: they are kept in memory."""


@dataclass(frozen=True, slots=True)
class _Reading:
    repository: str
    branch: str | None
    commit: str
    fingerprints: dict[str, str]
    refused: tuple[RefusedModule, ...]
    passed_over: tuple[NotModule, ...]


class LastReadings:
    """The last reading of each scope that this process has made; another process reads again."""

    def __init__(self) -> None:
        self._by_scope: dict[str, _Reading] = {}

    def commit(self, scope: str, repository: str, branch: str | None) -> str | None:
        """Return the commit that was read last, if it was of this repository and branch."""
        last = self._by_scope.get(scope)
        if last is None or (last.repository, last.branch) != (repository, branch):
            return None
        return last.commit

    def results(self, scope: str, known: Sequence[KnownModule]) -> tuple[ReadModule, ...] | None:
        """Return what reading that commit again would find, unless the modules have changed since.

        `known` are the scope's modules from that repository, as they are now.
        """
        last = self._by_scope[scope]
        refused = {module.path for module in last.refused}
        now = {module.path: module.fingerprint for module in known if module.path not in refused}
        if now != last.fingerprints:
            return None
        return (*(SameModule(path) for path in sorted(now)), *last.refused, *last.passed_over)

    def remember(
        self,
        scope: str,
        repository: str,
        branch: str | None,
        commit: str,
        *,
        results: Sequence[ReadModule],
        known: Sequence[KnownModule],
    ) -> None:
        """Keep what was found at a commit, where these modules were known before."""
        self._by_scope.pop(scope, None)
        fingerprints = {module.path: module.fingerprint for module in known}
        read: dict[str, str] = {}
        refused: list[RefusedModule] = []
        for result in results:
            match result:
                case SameModule(path):
                    read[path] = fingerprints[path]
                case FoundModule(path, content):
                    read[path] = content.fingerprint
                case RefusedModule():
                    refused.append(result)
                case NotModule():
                    continue
        if len(refused) > REFUSED_MAX:
            return
        if len(self._by_scope) >= SCOPES_MAX:
            del self._by_scope[next(iter(self._by_scope))]
        passed_over = tuple(map(NotModule, first_passed_over(results)))
        self._by_scope[scope] = _Reading(
            repository, branch, commit, read, tuple(refused), passed_over
        )
