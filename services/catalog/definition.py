"""What a module is, as the catalogue reads and stores it."""

from typing import Any

import msgspec


class Validation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule for a variable's value; `decidable` without running Terraform, or not."""

    condition: str
    message: str
    decidable: bool


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable; `type` is Terraform's, in canonical form, `default` and `options` are JSON."""

    name: str
    type: str
    description: str = ""
    required: bool
    default: Any = None
    options: tuple[Any, ...] = ()
    validations: tuple[Validation, ...] = ()
    nullable: bool = True
    sensitive: bool = False
    update_safe: bool = False
    group: int = 1
    order: int = 0


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that a deployment gives back."""

    name: str
    description: str = ""
    sensitive: bool = False


class Definition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a module, whole, but for its source."""

    name: str
    title: str
    description: str = ""
    credit_cost: int
    require_credit_purchases: bool = False
    public_access: bool = False
    documentation: str | None = None
    tags: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    outputs: tuple[Output, ...] = ()
    readme: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something wrong in a file; line 0 is the file as a whole."""

    file: str
    line: int
    message: str


class ModuleRefusedError(Exception):
    """A directory that means to be a module and cannot be read as one."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{p.file}:{p.line}: {p.message}" for p in problems))
        self.problems = problems


def refused(file: str, line: int, message: str) -> ModuleRefusedError:
    """Return the refusal for one problem."""
    return ModuleRefusedError((Problem(file=file, line=line, message=message),))
