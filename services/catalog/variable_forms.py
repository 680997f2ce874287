"""Variables as a form offers them: what Terraform declares, with what the author adds to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contracts.variables import known_as
from contracts.variables.checking import options_are_of_items
from contracts.variables.conditions import holds
from contracts.variables.types import (
    ANY,
    Collection,
    ConversionError,
    TerraformType,
    convert,
    format_type,
)
from contracts.variables.values import UnfitValueError, identity, to_json
from services.catalog import module_yaml
from services.catalog.declarations import Declared
from services.catalog.definition import Problem, Variable
from services.catalog.module_yaml import VariableOverride
from services.catalog.rad_convention import split_ui_meta

HIDDEN_GROUP: Final = 0


def build_variables(
    declared: Mapping[str, Declared],
    overrides: Sequence[VariableOverride],
    problems: list[Problem],
    warnings: list[Problem],
) -> tuple[Variable, ...]:
    """Return the variables by group and order; `module.yaml` wins over all else."""
    by_name = {override.name: override for override in overrides}
    for override in overrides:
        if override.name not in declared:
            message = f"no Terraform file declares variable `{override.name}`"
            message += known_as(override.name, declared)
            problems.append(Problem(file=module_yaml.FILE, line=override.line, message=message))
    forms = [_Form(each, by_name.get(name), problems, warnings) for name, each in declared.items()]
    # Python's sort is stable: what has no place of its own stays as it was declared.
    return tuple(sorted((form.build() for form in forms), key=lambda v: (v.group, v.order)))


class _Form:
    """One variable: what is declared, what its description says for forms, what overrides both."""

    def __init__(
        self,
        declared: Declared,
        override: VariableOverride | None,
        problems: list[Problem],
        warnings: list[Problem],
    ) -> None:
        self._declared = declared
        self._override = override or VariableOverride(name=declared.name, line=0)
        self._problems = problems
        self._warnings = warnings
        self._description, self._meta = split_ui_meta(declared.description)
        self._type = self._override.type or declared.type

    def build(self) -> Variable:
        declared, override, meta = self._declared, self._override, self._meta
        for warning in meta.warnings:
            self._warn(warning)
        required = declared.required and override.default is None
        group = meta.group if override.group is None else override.group
        default = None if required else self._default()
        options = self._options()
        if required and group == HIDDEN_GROUP:
            self._warn("is hidden (group 0) and has no default, so no deployment can succeed")
        if not required:
            self._check_default(default, options)
        sensitive = declared.sensitive if override.sensitive is None else override.sensitive
        if sensitive and override.default is not None:
            self._wrong("default", "would be shown, though the variable is sensitive")
        return Variable(
            name=declared.name,
            type=format_type(self._type),
            description=self._description if override.description is None else override.description,
            required=required,
            # A definition is read by many; a sensitive default stays in the source.
            default=None if sensitive else _json(default),
            options=tuple(_json(option) for option in options),
            validations=declared.validations,
            nullable=declared.nullable,
            sensitive=sensitive,
            update_safe=meta.update_safe if override.update_safe is None else override.update_safe,
            group=group,
            order=meta.order if override.order is None else override.order,
        )

    def _default(self) -> Any:
        """Return the default, which was checked where it is declared, unless it is overridden."""
        given = self._override.default
        value = self._declared.default if given is None else given.value
        if value is None and given is not None and not self._declared.nullable:
            self._wrong("default", "must not be null, since the variable is not nullable")
        try:
            converted = convert(self._type, value)
            to_json(converted)
        except (ConversionError, UnfitValueError) as error:
            self._wrong(
                "type" if given is None else "default", f"does not fit the default: {error}"
            )
            return None
        return converted

    def _options(self) -> list[Any]:
        """Return the options in the type of the value, or of its items."""
        given = self._override.options
        written: Sequence[Any] = self._meta.options if given is None else given
        is_of_items = options_are_of_items(self._type, written)
        type_ = _element(self._type) if is_of_items else self._type
        try:
            options = [convert(type_, option) for option in written]
            to_json(options)
        except (ConversionError, UnfitValueError) as error:
            message = f"has an option that {error}"
            if given is None:
                self._warn(f"{message}; no options are offered")
            else:
                self._wrong("options", message)
            return []
        return list({identity(option): option for option in options}.values())

    def _check_default(self, default: Any, options: list[Any]) -> None:
        if default is None:
            return
        is_list = options_are_of_items(self._type, options) and isinstance(default, list)
        chosen = default if is_list else [default]
        allowed = {identity(option) for option in options}
        if options and not all(identity(item) in allowed for item in chosen):
            if self._override.options is not None:
                self._wrong("options", "does not hold the default")
            else:
                self._warn("has a default that is not among its options")
        for validation in self._declared.validations:
            if (
                validation.decidable
                and holds(validation.condition, self._declared.name, default) is False
            ):
                self._warn(f"has a default that its own validation refuses: {validation.message}")

    def _wrong(self, field: str, message: str) -> None:
        line = self._override.lines.get(field, self._override.line)
        text = f"`{field}` of variable `{self._declared.name}` {message}"
        self._problems.append(Problem(file=module_yaml.FILE, line=line, message=text))

    def _warn(self, message: str) -> None:
        declared = self._declared
        text = f"variable `{declared.name}` {message}"
        self._warnings.append(
            Problem(file=declared.description_file, line=declared.description_line, message=text)
        )


def _element(type_: TerraformType) -> TerraformType:
    return type_.element if isinstance(type_, Collection) else ANY


def _json(value: Any) -> Any:
    try:
        return to_json(value)
    except UnfitValueError:
        # It has been told as a problem, and so the module is refused.
        return None
