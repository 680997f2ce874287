"""How values look in pages, and that every template can be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.web.amounts import minor_units
from services.gateway.web.rendering import (
    TEMPLATES,
    data,
    environment,
    markdown,
    money,
    number,
    plain_money,
)
from services.gateway.web.visit import Form, local


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_every_template_compiles(path: object) -> None:
    environment().get_template(getattr(path, "name"))  # noqa: B009 - a Path, to pytest an object


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (123456789, "USD", "1,234,567.89 USD"),
        (-5, "EUR", "\u22120.05 EUR"),
        (1500, "JPY", "1,500 JPY"),
        (1500, "KWD", "1.500 KWD"),
        (0, "USD", "0.00 USD"),
    ],
)
def test_money_is_shown_with_its_currency_s_digits(amount: int, currency: str, shown: str) -> None:
    assert money({"amount_minor": amount, "currency": currency}) == shown


@given(st.integers(0, 10**12), st.sampled_from(["USD", "JPY", "KWD"]))
def test_an_amount_that_a_field_shows_is_read_as_itself(amount: int, currency: str) -> None:
    shown = plain_money({"amount_minor": amount, "currency": currency})
    assert minor_units(shown, currency) == amount


@pytest.mark.parametrize("text", ["", "-1", "1.005", "1e3", "1,2.3.4", "NaN", "0x10", "\u0663"])
def test_what_is_no_amount_of_the_currency_is_left_for_the_api_to_refuse(text: str) -> None:
    assert minor_units(text, "USD") == text


def test_numbers_are_grouped() -> None:
    assert number(-1234567) == "\u22121,234,567"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        '<img src=x onerror="alert(1)">',
        "![x](https://evil.example/pixel.png)",
        '[x](https://example.org/ "a\\" onmouseover=\\"alert(1)")',
    ],
)
def test_a_readme_brings_no_script_and_no_image(text: str) -> None:
    shown = str(markdown(text)).lower()
    assert "<script" not in shown
    assert "<img" not in shown
    assert 'href="javascript:' not in shown
    assert 'href="data:' not in shown
    assert ' onmouseover="' not in shown


def test_headings_of_a_readme_stand_below_the_page_s_own() -> None:
    assert "<h3>Title</h3>" in str(markdown("# Title"))
    assert "<h6>Deep</h6>" in str(markdown("###### Deep"))


@given(st.text())
def test_data_in_a_page_cannot_end_its_attribute_or_element(text: str) -> None:
    shown = str(data({"label": text}))
    assert set("<>&'").isdisjoint(shown)
    assert json.loads(shown) == {"label": text}


@pytest.mark.parametrize(
    "address",
    [
        *("//evil.example", "/\\evil.example", "https://evil.example/", "evil", "", None),
        *("/\t/evil.example", "/a b", "javascript:alert(1)", "/\n/evil.example"),
    ],
)
def test_nobody_is_led_to_another_site(address: str | None) -> None:
    assert local(address) == "/"


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_is_read_as_it_is_shown_or_typed(value: int) -> None:
    assert Form({"n": str(value)}).number("n") == value
    assert Form({"n": f"{value:,}"}).number("n") == value


@pytest.mark.parametrize("text", ["1.5", "one", "1_000", "\u0663", "--1", "1" * 40])
def test_what_is_no_whole_number_is_left_for_the_api_to_refuse(text: str) -> None:
    assert Form({"n": text}).number("n") == text
