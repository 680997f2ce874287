"""Conditions of validations, decided without Terraform where that is possible.

A condition is decidable if it speaks of its own variable alone and uses only functions that we
have. What comes out is true, false, or None where Terraform has to tell; so we may refuse less
than Terraform does, never more.
"""

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, Final, assert_never

from contracts.variables.expressions import (
    Call,
    Conditional,
    Expression,
    For,
    Name,
    Object,
    Operation,
    Traversal,
    Tuple,
    parse,
)
from contracts.variables.functions import (
    FUNCTIONS,
    FailedError,
    UndecidedError,
    number,
    same,
    text,
    truth,
)
from contracts.variables.templates import Literal, NotUnderstoodError, Rendered, Template
from contracts.variables.values import exact

STEPS_MAX: Final = 200_000
TEXT_BUDGET: Final = 5_000_000
"""Characters that all functions of one decision may look at together."""
_ARITHMETIC: Final = Context(
    prec=160, Emax=999, Emin=-999, traps=[DivisionByZero, InvalidOperation, Overflow]
)


def is_decidable(condition: str, variable: str) -> bool:
    """Return whether the condition on `var.<variable>` can be decided without Terraform."""
    try:
        return _is_closed(parse(condition), variable, frozenset())
    except NotUnderstoodError:
        return False


def holds(condition: str, variable: str, value: Any) -> bool | None:
    """Return whether the condition holds for an exact, converted value; None: Terraform tells."""
    try:
        if not is_decidable(condition, variable):
            return None
        return truth(_Evaluation(value).of(parse(condition), {}))
    except (FailedError, UndecidedError, NotUnderstoodError):
        return None


def _is_closed(expression: Expression, variable: str, bound: frozenset[str]) -> bool:
    def closed(*parts: Expression | None) -> bool:
        return all(part is None or _is_closed(part, variable, bound) for part in parts)

    match expression:
        case Literal():
            return True
        case Rendered():
            return False
        case Name(name):
            return name in bound
        case Template(parts):
            return closed(*(part for part in parts if not isinstance(part, str)))
        case Traversal(Name("var"), (Literal(name), *steps)) if "var" not in bound:
            return name == variable and None not in steps and closed(*steps)
        case Traversal(base, steps):
            return None not in steps and closed(base, *steps)
        case Call(name, arguments, expands):
            known = name in FUNCTIONS or name in {"can", "try"}
            return known and not expands and closed(*arguments)
        case Operation(_, operands):
            return closed(*operands)
        case Conditional(condition, then, otherwise):
            return closed(condition, then, otherwise)
        case Tuple(items):
            return closed(*items)
        case Object(items):
            return closed(*(part for pair in items for part in pair))
        case For(names, collection, key, value, condition, groups):
            inner = bound | set(names)
            return (
                not groups
                and closed(collection)
                and all(
                    p is None or _is_closed(p, variable, inner) for p in (key, value, condition)
                )
            )
        case _:
            assert_never(expression)


class _Evaluation:
    """One evaluation, with what it may still spend."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._steps = STEPS_MAX
        self._characters = TEXT_BUDGET

    def of(self, expression: Expression, names: Mapping[str, Any]) -> Any:
        """Return what the expression says, where names stand for these values."""
        self._steps -= 1
        if self._steps < 0:
            raise UndecidedError("takes too many steps")
        match expression:
            case Literal(value):
                return value
            case Rendered():
                raise UndecidedError("has a template directive or a strip marker")
            case Name(name):
                return names[name]
            case Template(parts):
                return "".join(p if isinstance(p, str) else text(self.of(p, names)) for p in parts)
            case Traversal(Name("var"), (_, *steps)) if "var" not in names:
                return self._inside(self._value, steps, names)
            case Traversal(base, steps):
                return self._inside(self.of(base, names), steps, names)
            case Call("can", (argument,), _):
                return self._succeeds(argument, names)
            case Call("try", arguments, _):
                return self._first(arguments, names)
            case Call(name, arguments, _):
                return self._call(name, [self.of(argument, names) for argument in arguments])
            case Operation(operator, operands):
                return self._operation(operator, operands, names)
            case Conditional(condition, then, otherwise):
                return self.of(then if truth(self.of(condition, names)) else otherwise, names)
            case Tuple(items):
                return [self.of(item, names) for item in items]
            case Object(items):
                return {text(self.of(k, names)): self.of(v, names) for k, v in items}
            case For():
                return self._for(expression, names)
            case _:
                assert_never(expression)

    def _inside(self, value: Any, steps: Any, names: Mapping[str, Any]) -> Any:
        for step in steps:
            key = self.of(step, names)
            if isinstance(value, dict) and text(key) in value:
                value = value[text(key)]
            elif isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
                value = value[key]
            else:
                raise FailedError("has no such part")
        return value

    def _succeeds(self, expression: Expression, names: Mapping[str, Any]) -> bool:
        try:
            self.of(expression, names)
        except FailedError:
            return False
        return True

    def _first(self, expressions: tuple[Expression, ...], names: Mapping[str, Any]) -> Any:
        for expression in expressions:
            try:
                return self.of(expression, names)
            except FailedError:
                continue
        raise FailedError("none of them")

    def _call(self, name: str, arguments: list[Any]) -> Any:
        function, least, most = FUNCTIONS.get(name, (None, 0, 0))
        if function is None or not least <= len(arguments) <= most:
            raise FailedError("is not called so")
        self._characters -= sum(_size(argument) for argument in arguments)
        if self._characters < 0:
            raise UndecidedError("looks at too much text")
        return function(*arguments)

    def _operation(
        self, operator: str, operands: tuple[Expression, ...], names: Mapping[str, Any]
    ) -> Any:
        match operator:
            case "&&" | "||":
                return self._logical(operands, names, decisive=operator == "||")
            case "!":
                return not truth(self.of(operands[0], names))
            case "==" | "!=":
                left, right = (self.of(operand, names) for operand in operands)
                return same(left, right) == (operator == "==")
            case _:
                return _calculated(operator, [number(self.of(o, names)) for o in operands])

    def _logical(
        self, operands: tuple[Expression, ...], names: Mapping[str, Any], *, decisive: bool
    ) -> bool:
        """Return what `&&` and `||` say, even if some operand is undecided but another decides."""
        undecided: FailedError | UndecidedError | None = None
        for operand in operands:
            try:
                if truth(self.of(operand, names)) == decisive:
                    return decisive
            except (FailedError, UndecidedError) as error:
                undecided = error
        if undecided is not None:
            raise UndecidedError(str(undecided))
        return not decisive

    def _for(self, loop: For, names: Mapping[str, Any]) -> Any:
        collection = self.of(loop.collection, names)
        results: list[tuple[Any, Any]] = []
        for key, value in _pairs(collection):
            given = (key, value) if len(loop.names) > 1 else (value,)
            inner = {**names, **dict(zip(loop.names, given, strict=True))}
            if loop.condition is None or truth(self.of(loop.condition, inner)):
                made = None if loop.key is None else text(self.of(loop.key, inner))
                results.append((made, self.of(loop.value, inner)))
        if loop.key is None:
            return [value for _, value in results]
        if len({key for key, _ in results}) < len(results):
            raise FailedError("makes a key twice")
        return dict(results)


def _pairs(collection: Any) -> list[tuple[Any, Any]]:
    match collection:
        case dict():
            return [(key, collection[key]) for key in sorted(collection)]
        case list():
            return list(enumerate(collection))
        case _:
            raise FailedError("is nothing to go through")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else 1


def _calculated(operator: str, values: list[int | Decimal]) -> Any:
    left = Decimal(values[0])
    if operator == "-" and len(values) == 1:
        return exact(-left)
    right = Decimal(values[1])
    compare: dict[str, Callable[[], bool]] = {
        "<": lambda: left < right,
        ">": lambda: left > right,
        "<=": lambda: left <= right,
        ">=": lambda: left >= right,
    }
    if operator in compare:
        return compare[operator]()
    calculate: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
        "+": _ARITHMETIC.add,
        "-": _ARITHMETIC.subtract,
        "*": _ARITHMETIC.multiply,
        "/": _ARITHMETIC.divide,
        "%": _ARITHMETIC.remainder,
    }
    try:
        return exact(calculate[operator](left, right))
    except (DivisionByZero, InvalidOperation, Overflow) as error:
        raise FailedError("cannot be calculated") from error
