from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.variables.expressions import DEPTH_MAX, Operation, parse
from contracts.variables.templates import NotUnderstoodError, Template
from contracts.variables.values import constant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("true", True),
        ("-3", -3),
        ("1.50", 1.5),
        ("2e3", 2000),
        ('"plain"', "plain"),
        ('"a \\"quoted\\" word\\n\\u00e9"', 'a "quoted" word\né'),
        ('"costs $5, 100%"', "costs $5, 100%"),
        ('"$${not} %%{this}"', "${not} %{this}"),
        ("[1, 2,]", [1, 2]),
        ('{ a = 1, "b" : [true], }', {"a": 1, "b": [True]}),
        ("{\n  a = 1 # one\n  b = 2 // two\n\n  /* three */ c = 3\n}", {"a": 1, "b": 2, "c": 3}),
        ("{ null = 1, true = 2 }", {"null": 1, "true": 2}),
        ("(((7)))", 7),
        ("<<EOT\nfirst\n  second\nEOT\n", "first\n  second\n"),
        ("<<-EOT\n    first\n\n      second\n    EOT\n", "first\n\n  second\n"),
        ("<<E\nE", ""),
        ('"e\u0301"', "é"),
    ],
)
def test_a_constant_is_what_terraform_reads(text: str, value: Any) -> None:
    assert constant(parse(text)) == value


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("", 0),
        ("1 +", 3),
        ('"never ends', 11),
        ('"two\nlines"', 4),
        ("[1, 2", 5),
        ("{ a 1 }", 4),
        ("a b", 2),
        ("<<EOT\nnever ends\n", 0),
        ('"${var.a"', 8),
        ('"%{ when a }b%{ endif }"', 4),
        ('"%{ for a of b }b%{ endfor }"', 8),
        ('"%{ if a"', 8),
        ("{ a = 1 b = 2 }", 8),
        ("<<EOT \nx\nEOT\n", 0),
        ("@", 0),
        ('"\\q"', 1),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, offset: int) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        parse(text)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
        "!" * (DEPTH_MAX + 1) + "a",
        "+".join("1" * (DEPTH_MAX + 2)),
        "f(" * (DEPTH_MAX + 1) + ")" * (DEPTH_MAX + 1),
        '"${' * (DEPTH_MAX + 1) + '}"' * (DEPTH_MAX + 1),
        "a ? " * (DEPTH_MAX + 1) + "b",
        "1e9999",
        "9" * 200,
        '"' + "x" * 300_000 + '"',
    ],
)
def test_what_could_exhaust_us_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse(text)


def test_a_long_chain_of_conditions_is_one_level_deep() -> None:
    chain = parse(" && ".join(["a"] * 5_000))
    assert isinstance(chain, Operation)
    assert len(chain.operands) == 5_000


def test_a_string_that_depends_on_something_is_a_template() -> None:
    assert isinstance(parse('"a-${var.b}"'), Template)
    assert parse('"${var.b}"') == parse("var.b")


def test_operators_bind_as_in_terraform() -> None:
    assert parse("a || b && c == d + e * -f") == parse("a || (b && (c == (d + (e * (-f)))))")
    assert parse("a - b - c") == parse("(a - b) - c")
    assert parse("a ? b : c ? d : e") == parse("a ? b : (c ? d : e)")


def test_a_new_line_ends_the_element_of_an_object() -> None:
    assert parse("{ a = b\n (c) = d }") == parse("{ a = b, (c) = d }")


@given(st.text(alphabet="ab01.\"'${}[]()=,:!&|<>?%-+*/#\n\\ EOT<for in", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except NotUnderstoodError as error:
        assert 0 <= error.offset <= len(text)
