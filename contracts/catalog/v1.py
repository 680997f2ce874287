"""What the catalogue says, version 1: modules, their versions, and how a sync went."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts import events
from contracts.types import (
    TEXT_PATTERN,
    Amount,
    Count,
    Digest,
    Id,
    Instant,
    JsonData,
    LongText,
    Name,
    Ordinal,
    ShortText,
    Stars,
    Value,
)

ModuleSource = Literal["admin", "partner"]
ModuleVersion = Ordinal
README_LENGTH_MAX = 65_536


class Validation(Value):
    """A rule a variable's value must meet, as the module's author wrote it in HCL.

    `decidable` tells that it can be decided without running Terraform.
    """

    condition: LongText
    message: LongText
    decidable: bool


class Variable(Value):
    """What a form and the deployer's gate need to know of a variable.

    `type` is Terraform's type expression, such as `map(object({size = number}))`. `default` is a
    JSON value and means something only where `required` is false. Group 0 is never shown to users.
    """

    name: Name
    type: LongText
    description: LongText
    required: bool
    default: JsonData = None
    options: tuple[JsonData, ...] = ()
    validations: tuple[Validation, ...] = ()
    nullable: bool = True
    sensitive: bool = False
    update_safe: bool = False
    group: Count = 1
    order: Count = 0


class Output(Value):
    """A value that a deployment gives back."""

    name: Name
    description: LongText
    sensitive: bool


class Definition(Value):
    """One version of a module, whole."""

    name: Name
    title: Name
    description: LongText
    credit_cost: Amount
    require_credit_purchases: bool
    public_access: bool
    documentation: ShortText | None
    tags: tuple[Name, ...]
    dependencies: tuple[Name, ...] = ()
    variables: tuple[Variable, ...]
    outputs: tuple[Output, ...]
    readme: Annotated[str, Field(max_length=README_LENGTH_MAX, pattern=TEXT_PATTERN)] | None


class Change(Value):
    """How a variable or output, or without one the module, differs from the version before."""

    variable: Name | None
    change: ShortText
    breaking: bool


class ModuleEvent(events.Event):
    """The base of what happens to a module, in its own stream `module-<id>`."""

    service: ClassVar[str] = "catalog"
    kind: ClassVar[str] = "module"

    module_id: Id


class ModulePublished(ModuleEvent):
    """A module came to be, or came back; `module_version` starts at 1 and never repeats.

    The source of exactly this version lies in the archive under `archive_digest`. Terraform runs
    in the archive's folder `archive_folder`: its root (`""`), unless the module uses others that
    stand beside it in the repository. `fingerprint` covers what was read, `fingerprint_paths`; both
    are told so that a message says all that is stored of a version.
    """

    fact: ClassVar[str] = "module_published"

    source: ModuleSource
    partner_id: Id | None
    module_version: ModuleVersion
    definition: Definition
    repository: ShortText
    path: ShortText
    commit: ShortText
    archive_digest: Digest
    archive_folder: ShortText = ""
    fingerprint: ShortText = ""
    fingerprint_paths: tuple[ShortText, ...] = ()
    published_at: Instant


class ModuleUpdated(ModulePublished):
    """A module changed: a new version, with how it differs from the one before."""

    fact: ClassVar[str] = "module_updated"

    changes: tuple[Change, ...]


class ModuleWithdrawn(ModuleEvent):
    """A module can no longer be deployed; what was deployed lives on."""

    fact: ClassVar[str] = "module_withdrawn"

    withdrawn_at: Instant


class ModuleRated(ModuleEvent):
    """Somebody rated a deployment of a module, for the first time or anew.

    `rating_sum` and `rating_count` are of all deployments that are rated now, this one with them.
    """

    fact: ClassVar[str] = "module_rated"

    deployment_id: Id
    stars: Stars
    rating_sum: Count
    rating_count: Ordinal
    rated_at: Instant


class ModuleFeatured(ModuleEvent):
    """A module is put before others."""

    fact: ClassVar[str] = "module_featured"

    featured_at: Instant


class ModuleUnfeatured(ModuleEvent):
    """A module is put before others no longer."""

    fact: ClassVar[str] = "module_unfeatured"

    unfeatured_at: Instant


class FileProblem(Value):
    """What is wrong in a module, and where; line 0 is the file as a whole."""

    file: ShortText
    line: Count
    message: LongText


class ModuleReport(Value):
    """How one directory of a repository fared in a sync.

    `live_deployments` is how many deployments of the module owned resources when the sync read it.
    """

    path: ShortText
    name: ShortText
    outcome: Literal["PUBLISHED", "UPDATED", "UNCHANGED", "WITHDRAWN", "REFUSED"]
    module_id: Id | None
    module_version: ModuleVersion | None
    problems: tuple[FileProblem, ...] = ()
    changes: tuple[Change, ...] = ()
    live_deployments: Count = 0


class SyncFinished(events.Event):
    """A sync ended. FAILED means that the repository could not be read; no module changed.

    `passed_over` are directories with Terraform files that are no modules, 200 at most.
    """

    service: ClassVar[str] = "catalog"
    kind: ClassVar[str] = "sync"
    fact: ClassVar[str] = "sync_finished"

    sync_id: Id
    scope: Literal["platform", "partner"]
    partner_id: Id | None
    status: Literal["DONE", "FAILED"]
    commit: ShortText | None
    error: LongText | None
    modules: tuple[ModuleReport, ...]
    passed_over: tuple[ShortText, ...] = ()
    started_at: Instant
    finished_at: Instant


class RequestRefused(events.RequestRefused):
    """The catalogue does not carry out a request."""

    service: ClassVar[str] = "catalog"
