"""Syncs: asked for, begun one at a time in each scope, and ended.

Refusals, in the order in which they win: a sync that is not running, or is run by somebody else;
then a scope in which another sync runs.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

import msgspec

from runtime.refusal import Refusal
from services.catalog.events import (
    ModuleListed,
    ModuleReport,
    ScopeFact,
    ScopeKind,
    ScopeState,
    SyncAdmitted,
    SyncFact,
    SyncFinished,
    SyncLeft,
    SyncQueued,
    SyncStarted,
    SyncState,
)
from services.catalog.repository_address import AddressRefusal, read_address, read_branch

ATTEMPTS_MAX: Final = 3
WAITING_MAX: Final = 10
_CREDENTIALS: Final = re.compile(r"//[^/]*@")
"""What somebody put into an address all the same; it must not be kept."""


class SyncNotRunningRefusal(Refusal):
    """The sync has ended, or another attempt at it was begun since."""


class ScopeBusyRefusal(Refusal):
    """One sync of a scope runs at a time: so what it read of the scope holds until it ends."""


@dataclass(frozen=True, slots=True)
class QueueSync:
    """Ask for a sync; `waiting` is how many of this scope have not ended."""

    scope: ScopeKind
    partner_id: str | None
    repository_url: str
    branch: str | None
    requested_by: str
    expires_at: datetime
    waiting: int
    allow_local: bool


@dataclass(frozen=True, slots=True)
class StartSync:
    """Begin a sync that waits, or one whose process ended; `is_first` of those in its scope."""

    is_first: bool


@dataclass(frozen=True, slots=True)
class FinishSync:
    """End an attempt at a sync: with what became of each module, or with why it failed."""

    attempt: int
    commit: str | None
    error: str | None
    modules: tuple[ModuleReport, ...]
    passed_over: tuple[str, ...] = ()


SyncCommand = QueueSync | StartSync | FinishSync


def decide_sync(command: SyncCommand, state: SyncState, at: datetime) -> list[SyncFact]:
    """Return what happens to a sync."""
    match command:
        case QueueSync():
            return _queue(command, state, at)
        case StartSync(is_first=is_first):
            return _start(state, at, is_first=is_first)
        case FinishSync(attempt=attempt):
            check_attempt(state, attempt)
            finished = _finished(state, at, command.commit, command.error, command.modules)
            return [msgspec.structs.replace(finished, passed_over=command.passed_over)]
        case _:
            assert_never(command)


def _queue(command: QueueSync, state: SyncState, at: datetime) -> list[SyncFact]:
    """Queue the sync once; what can never succeed fails at once, so that its asker is told."""
    if state.status != "NEW":
        return []
    queued = SyncQueued(
        scope=command.scope,
        partner_id=command.partner_id,
        repository_url=_CREDENTIALS.sub("//…@", command.repository_url),
        branch=command.branch,
        requested_by=command.requested_by,
    )
    error = _why_not(command, at)
    if error is None:
        return [queued]
    return [queued, _finished(evolve_sync(state, queued), at, None, error, ())]


def _why_not(command: QueueSync, at: datetime) -> str | None:
    if (command.scope == "partner") != (command.partner_id is not None):
        return "a partner's sync names the partner, the platform's names none"
    if at >= command.expires_at:
        return "the request had expired before it could be carried out"
    if command.waiting >= WAITING_MAX:
        return f"{WAITING_MAX} syncs of this repository are waiting already"
    try:
        read_address(command.repository_url, allow_local=command.allow_local)
        read_branch(command.branch)
    except AddressRefusal as refusal:
        return refusal.detail
    return None


def _start(state: SyncState, at: datetime, *, is_first: bool) -> list[SyncFact]:
    if state.status not in {"WAITING", "RUNNING"}:
        raise SyncNotRunningRefusal("SYNC_NOT_RUNNING", "the sync has ended")
    if not is_first:
        raise ScopeBusyRefusal("SCOPE_BUSY", "another sync of this scope has not ended")
    if state.attempt >= ATTEMPTS_MAX:
        error = f"the sync was interrupted {ATTEMPTS_MAX} times; ask for another"
        return [_finished(state, at, None, error, ())]
    return [SyncStarted(attempt=state.attempt + 1, started_at=state.started_at or at)]


def check_attempt(state: SyncState, attempt: int) -> None:
    """Refuse what an attempt has to say that is not the present one."""
    if state.status != "RUNNING" or state.attempt != attempt:
        raise SyncNotRunningRefusal("SYNC_NOT_RUNNING", "this attempt at the sync is over")


def _finished(
    state: SyncState,
    at: datetime,
    commit: str | None,
    error: str | None,
    modules: tuple[ModuleReport, ...],
) -> SyncFinished:
    return SyncFinished(
        scope=state.scope,
        partner_id=state.partner_id,
        status="DONE" if error is None else "FAILED",
        commit=commit,
        error=error,
        modules=modules,
        started_at=state.started_at or at,
    )


def evolve_sync(state: SyncState, fact: SyncFact) -> SyncState:
    """Return the sync after the fact."""
    match fact:
        case SyncQueued():
            return SyncState(
                status="WAITING",
                scope=fact.scope,
                partner_id=fact.partner_id,
                repository_url=fact.repository_url,
            )
        case SyncStarted():
            return msgspec.structs.replace(
                state, status="RUNNING", attempt=fact.attempt, started_at=fact.started_at
            )
        case SyncFinished(status=status):
            return msgspec.structs.replace(state, status=status)
        case _:
            assert_never(fact)


def evolve_scope(state: ScopeState, fact: ScopeFact) -> ScopeState:
    """Return the scope after the fact."""
    match fact:
        case SyncAdmitted(sync_id=sync_id):
            return msgspec.structs.replace(state, syncs=(*state.syncs, sync_id))
        case SyncLeft(sync_id=sync_id):
            left = tuple(each for each in state.syncs if each != sync_id)
            return msgspec.structs.replace(state, syncs=left)
        case ModuleListed(name=name, module_id=module_id):
            return msgspec.structs.replace(state, modules={**state.modules, name: module_id})
        case _:
            assert_never(fact)
