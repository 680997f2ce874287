from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.variables.conditions import holds, is_decidable


@pytest.mark.parametrize(
    ("condition", "value", "verdict"),
    [
        ('contains(["eu", "us"], var.x)', "eu", True),
        ('contains(["eu", "us"], var.x)', "asia", False),
        ("length(var.x) > 2 && length(var.x) <= 5", "abc", True),
        ("length(var.x) > 2 && length(var.x) <= 5", "ab", False),
        ("length(var.x) > 0", [], False),
        ("length(var.x) == 2", {"a": 1, "b": 2}, True),
        ('can(regex("^[a-z]([-a-z0-9]*[a-z0-9])?$", var.x))', "web-1", True),
        ('can(regex("^[a-z]([-a-z0-9]*[a-z0-9])?$", var.x))', "1-web", False),
        ('length(regexall("[0-9]", var.x)) >= 2', "a1b2", True),
        ("var.x >= 1 && var.x <= 10 && floor(var.x) == var.x", 7, True),
        ("var.x >= 1 && var.x <= 10 && floor(var.x) == var.x", Decimal("7.5"), False),
        ("var.x % 2 == 0", 3, False),
        ("var.x * 3 - 1 == 0.5", Decimal("0.5"), True),
        ("!(var.x == 3 || var.x == 4)", 4, False),
        ("var.x != null", "a", True),
        ("var.x == null || length(var.x) > 3", None, True),
        ("alltrue([for port in var.x : port > 0 && port < 65536])", [80, 443], True),
        ("alltrue([for port in var.x : port > 0 && port < 65536])", [80, 70_000], False),
        ('alltrue([for k, v in var.x : contains(["dev", "prod"], k)])', {"dev": 1}, True),
        ("anytrue([for v in var.x : v if v])", [False, True], True),
        ("length({ for v in var.x : v => true }) == length(var.x)", ["a", "b"], True),
        ("can(cidrhost(var.x, 0))", "10.0.0.0/8", True),
        ("can(cidrhost(var.x, 0))", "10.0.0.0/40", False),
        ("can(cidrnetmask(var.x))", "2001:db8::/32", False),
        ("can(tonumber(var.x))", "12a", False),
        ('var.x[0].name == "a"', [{"name": "a"}], True),
        ("try(var.x.size, 5) == 5", {"name": "a"}, True),
        ('startswith(var.x, "gs://") ? length(var.x) > 5 : false', "gs://b", True),
        ('"${var.x}-1" == "a-1"', "a", True),
        ('substr(var.x, 0, 1) == "a" && lower(var.x) == var.x', "abc", True),
        ('join(",", sort(var.x)) == ""', [], None),
        ("length(var.x) == 1", "e\u0301", None),
        ("length(var.x) == 2", "é!", True),
        ("var.x == var.y", 1, None),
        ("var.x.*.a == 1", [], None),
        ("length(var.x) > 3", 7, None),
        ("var.x", "maybe", None),
        ("1 / var.x > 0", 0, None),
        ("timestamp() != var.x", "a", None),
        ('var.x == "%{ if true }a%{ endif }"', "a", None),
        ("not hcl at all", "a", None),
    ],
)
def test_a_condition_is_decided_as_terraform_would_or_left_to_it(
    condition: str, value: Any, verdict: bool | None
) -> None:
    assert holds(condition, "x", value) is verdict


@pytest.mark.parametrize(
    ("condition", "decidable"),
    [
        ('contains(["a"], var.x)', True),
        ("[for a in var.x : a][0] > 1", True),
        ("var.x > var.y", False),
        ("local.x", False),
        ("fileexists(var.x)", False),
        ("[for a in var.x : b]", False),
        ("var.x[*].a", False),
        ("max(var.x...) > 1", False),
        ("", False),
    ],
)
def test_it_is_known_beforehand_which_conditions_can_be_decided(
    condition: str, *, decidable: bool
) -> None:
    assert is_decidable(condition, "x") is decidable


def test_a_pattern_made_to_backtrack_is_decided_at_once() -> None:
    assert holds('can(regex("^(a+)+$", var.x))', "x", "a" * 50_000 + "b") is False


def test_a_condition_that_would_take_for_ever_is_left_to_terraform() -> None:
    nested = "alltrue([for a in var.x : alltrue([for b in var.x : a + b > 0])])"
    assert holds(nested, "x", list(range(5_000))) is None


def test_a_condition_that_looks_at_too_much_text_is_left_to_terraform() -> None:
    condition = 'alltrue([for a in var.x : !can(regex("b", var.x[0]))])'
    assert holds(condition, "x", ["a" * 60_000] * 1_000) is None


@given(
    st.recursive(
        st.sampled_from(["var.x", "1", "0", '"a"', "null", "true", "[]", "{}", "var.x.a"]),
        lambda inner: st.one_of(
            st.builds(
                lambda f, a: f"{f}({a})", st.sampled_from(["length", "can", "!", "-"]), inner
            ),
            st.builds(
                lambda a, o, b: f"({a} {o} {b})",
                inner,
                st.sampled_from(["&&", "||", "==", "<", "+", "/", "%", "?1:"]),
                inner,
            ),
            st.builds(lambda a, b: f"[for v in {a} : {b}]", inner, inner),
            st.builds(
                lambda f, a, b: f"{f}({a}, {b})",
                st.sampled_from(["contains", "regex"]),
                inner,
                inner,
            ),
        ),
        max_leaves=10,
    ),
    st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3)),
)
def test_any_condition_on_any_value_gets_a_verdict(condition: str, value: Any) -> None:
    assert holds(condition, "x", value) in {True, False, None}
