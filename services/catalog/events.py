"""What the catalogue stores: modules and their versions, syncs, and what each scope holds.

A scope is the platform's, or one partner's; names of modules are unique in it. A name stays with
its module for good, so that one that was withdrawn and comes back is the same module.
"""

from datetime import datetime
from typing import Literal

import msgspec

from services.catalog.definition import Definition, Problem

ModuleSource = Literal["admin", "partner"]
ScopeKind = Literal["platform", "partner"]
ModuleOutcome = Literal["PUBLISHED", "UPDATED", "UNCHANGED", "WITHDRAWN", "REFUSED"]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a variable or output, or without one the module, differs from the version before."""

    variable: str | None
    change: str
    breaking: bool


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One state of a module: what it is, where it was read, and where its source is kept.

    `fingerprint` covers what `fingerprint_paths` hold; while it is the same, nothing need be read.
    """

    definition: Definition
    repository: str
    path: str
    commit: str
    archive_digest: str
    archive_folder: str
    fingerprint: str
    fingerprint_paths: tuple[str, ...]


class ModuleReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one directory fared in a sync."""

    path: str
    name: str
    outcome: ModuleOutcome
    module_id: str | None = None
    version: int | None = None
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    live_deployments: int = 0


class _Fact(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", forbid_unknown_fields=True
):
    pass


class ModulePublished(_Fact, frozen=True, kw_only=True, tag="module_published"):
    """A module came to be, or came back."""

    source: ModuleSource
    partner_id: str | None
    version: int
    content: Content


class ModuleUpdated(_Fact, frozen=True, kw_only=True, tag="module_updated"):
    """A module changed."""

    source: ModuleSource
    partner_id: str | None
    version: int
    content: Content
    changes: tuple[Change, ...]


class ModuleReread(_Fact, frozen=True, kw_only=True, tag="module_reread"):
    """A module was read anew and is what it was; only its fingerprint is another."""

    fingerprint: str
    fingerprint_paths: tuple[str, ...]


class ModuleWithdrawn(_Fact, frozen=True, kw_only=True, tag="module_withdrawn"):
    """A module is no longer in its repository."""


class ModuleRated(_Fact, frozen=True, kw_only=True, tag="module_rated"):
    """A deployment of the module was rated; sum and count are of all that are rated now."""

    deployment_id: str
    stars: int
    rating_sum: int
    rating_count: int


class ModuleFeatured(_Fact, frozen=True, kw_only=True, tag="module_featured"):
    """The module is put before others."""


class ModuleUnfeatured(_Fact, frozen=True, kw_only=True, tag="module_unfeatured"):
    """The module is put before others no longer."""


ModuleFact = (
    ModulePublished
    | ModuleUpdated
    | ModuleReread
    | ModuleWithdrawn
    | ModuleRated
    | ModuleFeatured
    | ModuleUnfeatured
)


class DeploymentRated(_Fact, frozen=True, kw_only=True, tag="deployment_rated"):
    """The owner of a deployment gave it these stars, 1 to 5; its module tells the sum."""

    stars: int


RatingFact = DeploymentRated


class SyncQueued(_Fact, frozen=True, kw_only=True, tag="sync_queued"):
    """A sync was asked for."""

    scope: ScopeKind
    partner_id: str | None
    repository_url: str
    branch: str | None
    requested_by: str


class SyncStarted(_Fact, frozen=True, kw_only=True, tag="sync_started"):
    """A sync was begun, or begun again after the process that ran it ended.

    `started_at` is when the first attempt was begun.
    """

    attempt: int
    started_at: datetime


class SyncFinished(_Fact, frozen=True, kw_only=True, tag="sync_finished"):
    """A sync ended. FAILED: the repository could not be read, and no module changed.

    `passed_over` are directories with Terraform files that are no modules.
    """

    scope: ScopeKind
    partner_id: str | None
    status: Literal["DONE", "FAILED"]
    commit: str | None
    error: str | None
    modules: tuple[ModuleReport, ...]
    passed_over: tuple[str, ...] = ()
    started_at: datetime


SyncFact = SyncQueued | SyncStarted | SyncFinished


class SyncAdmitted(_Fact, frozen=True, kw_only=True, tag="sync_admitted"):
    """A sync waits or runs in this scope."""

    sync_id: str


class SyncLeft(_Fact, frozen=True, kw_only=True, tag="sync_left"):
    """A sync of this scope has ended."""

    sync_id: str


class ModuleListed(_Fact, frozen=True, kw_only=True, tag="module_listed"):
    """A name belongs to a module from now on."""

    name: str
    module_id: str


ScopeFact = SyncAdmitted | SyncLeft | ModuleListed


class ModuleState(msgspec.Struct, frozen=True, kw_only=True):
    """A module: version 0 has never been published."""

    version: int = 0
    withdrawn: bool = False
    content: Content | None = None
    featured: bool = False
    rating_sum: int = 0
    rating_count: int = 0


class RatingState(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment was given; no stars while it is not rated."""

    stars: int | None = None


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """A sync."""

    status: Literal["NEW", "WAITING", "RUNNING", "DONE", "FAILED"] = "NEW"
    scope: ScopeKind = "platform"
    partner_id: str | None = None
    repository_url: str = ""
    attempt: int = 0
    started_at: datetime | None = None


class ScopeState(msgspec.Struct, frozen=True, kw_only=True):
    """A scope: its names with their modules, and its syncs that have not ended."""

    modules: dict[str, str] = msgspec.field(default_factory=dict)
    syncs: tuple[str, ...] = ()


def scope_stream(partner_id: str | None) -> str:
    """Return the name of the stream of the platform's scope, or of a partner's."""
    return "scope-platform" if partner_id is None else f"scope-{partner_id}"
