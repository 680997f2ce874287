"""Modules: their versions, what they are rated, and whether they are featured.

Refusals, in the order in which they win, all of featuring: a request that came too late; a module
that never was; one that is withdrawn.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

import msgspec

from runtime.refusal import Refusal
from services.catalog.changes import changes_of
from services.catalog.events import (
    Content,
    ModuleFact,
    ModuleFeatured,
    ModulePublished,
    ModuleRated,
    ModuleReread,
    ModuleSource,
    ModuleState,
    ModuleUnfeatured,
    ModuleUpdated,
    ModuleWithdrawn,
)


class RequestExpiredRefusal(Refusal):
    """A request arrived after it had ceased to be worth doing."""


class UnknownModuleRefusal(Refusal):
    """There is no such module."""


class ModuleWithdrawnRefusal(Refusal):
    """The module is withdrawn."""


@dataclass(frozen=True, slots=True)
class PutModule:
    """The module is this now."""

    source: ModuleSource
    partner_id: str | None
    content: Content


@dataclass(frozen=True, slots=True)
class WithdrawModule:
    """The module is no longer in its repository."""


@dataclass(frozen=True, slots=True)
class CountStars:
    """A deployment of the module has these stars now; before it had those, or none."""

    deployment_id: str
    stars: int
    before: int | None


@dataclass(frozen=True, slots=True)
class FeatureModule:
    """Put the module before others, or no longer."""

    featured: bool
    expires_at: datetime
    at: datetime


ModuleCommand = PutModule | WithdrawModule | CountStars | FeatureModule


def decide_module(command: ModuleCommand, state: ModuleState) -> list[ModuleFact]:
    """Return what happens to a module: each state of it that differs is a version of its own."""
    match command:
        case WithdrawModule():
            return [] if state.withdrawn or state.version == 0 else [ModuleWithdrawn()]
        case PutModule():
            return _put(command, state)
        case CountStars():
            return [_counted(command, state)]
        case FeatureModule():
            return [_featured(command, state)]
        case _:
            assert_never(command)


def _counted(command: CountStars, state: ModuleState) -> ModuleRated:
    return ModuleRated(
        deployment_id=command.deployment_id,
        stars=command.stars,
        rating_sum=state.rating_sum + command.stars - (command.before or 0),
        rating_count=state.rating_count + (command.before is None),
    )


def _featured(command: FeatureModule, state: ModuleState) -> ModuleFeatured | ModuleUnfeatured:
    """Return the fact even where it changes nothing: whoever asked waits for it."""
    if command.at >= command.expires_at:
        raise RequestExpiredRefusal("REQUEST_EXPIRED", "the request was not carried out in time")
    if state.version == 0:
        raise UnknownModuleRefusal("UNKNOWN_MODULE", "there is no such module")
    if not command.featured:
        return ModuleUnfeatured()
    if state.withdrawn:
        raise ModuleWithdrawnRefusal("MODULE_WITHDRAWN", "the module is withdrawn")
    return ModuleFeatured()


def _put(command: PutModule, state: ModuleState) -> list[ModuleFact]:
    content = command.content
    if state.content is None or state.withdrawn:
        return [
            ModulePublished(
                source=command.source,
                partner_id=command.partner_id,
                version=state.version + 1,
                content=content,
            )
        ]
    if _same(state.content, content):
        if state.content.fingerprint == content.fingerprint:
            return []
        return [
            ModuleReread(
                fingerprint=content.fingerprint, fingerprint_paths=content.fingerprint_paths
            )
        ]
    return [
        ModuleUpdated(
            source=command.source,
            partner_id=command.partner_id,
            version=state.version + 1,
            content=content,
            changes=changes_of(state.content, content),
        )
    ]


def _same(before: Content, after: Content) -> bool:
    """Return whether two states are one version: the commit and fingerprint do not make one."""
    aligned = msgspec.structs.replace(
        after,
        commit=before.commit,
        fingerprint=before.fingerprint,
        fingerprint_paths=before.fingerprint_paths,
    )
    # Not by Python's equality, to which 1, 1.0 and True are one default.
    return _encoder.encode(before) == _encoder.encode(aligned)


_encoder: Final = msgspec.json.Encoder(order="sorted")


def evolve_module(state: ModuleState, fact: ModuleFact) -> ModuleState:
    """Return the module after the fact."""
    match fact:
        case ModulePublished() | ModuleUpdated():
            return msgspec.structs.replace(
                state, version=fact.version, withdrawn=False, content=fact.content
            )
        case ModuleReread():
            if state.content is None:
                return state
            content = msgspec.structs.replace(
                state.content,
                fingerprint=fact.fingerprint,
                fingerprint_paths=fact.fingerprint_paths,
            )
            return msgspec.structs.replace(state, content=content)
        case ModuleWithdrawn():
            return msgspec.structs.replace(state, withdrawn=True)
        case ModuleRated(rating_sum=rating_sum, rating_count=rating_count):
            return msgspec.structs.replace(state, rating_sum=rating_sum, rating_count=rating_count)
        case ModuleFeatured():
            return msgspec.structs.replace(state, featured=True)
        case ModuleUnfeatured():
            return msgspec.structs.replace(state, featured=False)
        case _:
            assert_never(fact)
