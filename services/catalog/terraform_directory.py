"""A directory's Terraform files taken together, as Terraform does: override files change others.

Source: https://developer.hashicorp.com/terraform/language/files/override
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from services.catalog.definition import ModuleRefusedError, Problem, refused
from services.catalog.terraform_blocks import Attribute, Block
from services.catalog.terraform_files import JSON_ENDING, read_terraform

_ENDINGS: Final = (".tf", JSON_ENDING)
_TOFU_ENDINGS: Final = (".tofu", ".tofu.json")
_MERGED: Final = frozenset({"variable", "output", "module"})
"""The kinds of blocks that are read of a module; what overrides others is Terraform's business."""

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


def is_terraform(name: str) -> bool:
    """Return whether Terraform reads the file: it passes over hidden ones."""
    return name.endswith(_ENDINGS) and not name.startswith(".")


def is_for_tofu_alone(name: str) -> bool:
    """Return whether OpenTofu reads the file, and Terraform does not."""
    return name.endswith(_TOFU_ENDINGS) and not name.startswith(".")


def read_directory(
    files: Mapping[str, bytes], problems: list[Problem]
) -> tuple[tuple[Block, ...], dict[str, bytes]]:
    """Return the blocks of a directory's Terraform files, and those files that cannot be read."""
    blocks: list[Block] = []
    overriding: list[Block] = []
    unreadable: dict[str, bytes] = {}
    for name in sorted(filter(is_terraform, files)):
        content = files[name]
        try:
            if content.startswith(_LFS_POINTER):
                raise refused(name, 0, "is a Git LFS pointer, not the file itself")
            (overriding if _overrides(name) else blocks).extend(read_terraform(name, content))
        except ModuleRefusedError as error:
            problems += error.problems
            unreadable[name] = content
    return tuple(_merged(blocks, overriding, problems, is_whole=not unreadable)), unreadable


def _overrides(name: str) -> bool:
    stem = name.removesuffix(JSON_ENDING).removesuffix(".tf")
    return stem == "override" or stem.endswith("_override")


def _merged(
    blocks: list[Block], overriding: Iterable[Block], problems: list[Problem], *, is_whole: bool
) -> list[Block]:
    """Return the blocks with the attributes that override theirs."""
    places = {(block.kind, block.labels): number for number, block in enumerate(blocks)}
    merged = list(blocks)
    for block in overriding:
        if block.kind not in _MERGED:
            continue
        place = places.get((block.kind, block.labels))
        for inner in block.blocks:
            if inner.kind == "validation":
                message = "an override file cannot hold a validation"
                problems.append(Problem(file=inner.file, line=inner.line, message=message))
        if place is not None:
            merged[place] = replace(
                merged[place],
                attributes={
                    **merged[place].attributes,
                    **{
                        name: Attribute(each.text, each.line, block.file)
                        for name, each in block.attributes.items()
                    },
                },
            )
        elif is_whole:
            name = " ".join(block.labels)
            message = f"overrides {block.kind} `{name}`, which no other file declares"
            problems.append(Problem(file=block.file, line=block.line, message=message))
    return merged
