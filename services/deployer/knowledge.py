"""What the deployer keeps of the others' facts, to decide by: modules, and deployments' keys."""

from typing import Final

import msgspec

from contracts.catalog import v1 as catalog

MODULE: Final = "module"
MODULE_VERSION: Final = "module_version"
DATA_KEY: Final = "data_key"
RETENTION: Final = ("settings", "retention")
"""The document that says how long what rests is kept."""


class ModuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a module; `definition` is the contract's, as JSON."""

    module_version: int
    definition: bytes
    archive_digest: str
    archive_folder: str
    repository: str
    commit: str

    def read(self) -> catalog.Definition:
        """Return the definition."""
        return catalog.Definition.model_validate_json(self.definition)


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A module, with its newest version."""

    module_id: str
    source: str
    partner_id: str | None
    public_access: bool
    withdrawn: bool
    newest: ModuleVersion

    def visible_to(self, user_id: str) -> bool:
        """Return whether the user may know of it (C4)."""
        return self.source == "admin" or self.public_access or self.partner_id == user_id


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How many days a deployment that rests and owns nothing is kept; None: for ever."""

    days: int | None


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment's data key, wrapped; to delete this erases its variables and outputs."""

    wrapped: str


def module_of(event: catalog.ModulePublished) -> Module:
    """Return what of a published or updated module the deployer keeps."""
    return Module(
        module_id=event.module_id,
        source=event.source,
        partner_id=event.partner_id,
        public_access=event.definition.public_access,
        withdrawn=False,
        newest=ModuleVersion(
            module_version=event.module_version,
            definition=event.definition.model_dump_json().encode(),
            archive_digest=event.archive_digest,
            archive_folder=event.archive_folder,
            repository=event.repository,
            commit=event.commit,
        ),
    )


def version_key(module_id: str, module_version: int) -> str:
    """Return the key of a module's version."""
    return f"{module_id}@{module_version}"
