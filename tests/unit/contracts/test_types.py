"""Values are what they seem: no look-alike is taken for a number, a moment or JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from contracts.types import (
    JSON_DEPTH_MAX,
    WHOLE_NUMBER_MAX,
    Amount,
    Ciphertext,
    Credits,
    Currency,
    Digest,
    Id,
    Instant,
    JsonData,
    Money,
    PositiveAmount,
    ShortText,
    Value,
)
from runtime.sealing import DataKey, generate_sealing_key


class Priced(Value):
    credits: Amount


class Sold(Value):
    credits: PositiveAmount


class Dated(Value):
    at: Instant


class Named(Value):
    id: Id


class Held(Value):
    value: JsonData


class Told(Value):
    text: ShortText


class Sealed(Value):
    value: Ciphertext


class Marked(Value):
    digest: Digest
    currency: Currency


@pytest.mark.parametrize(
    "look_alike", ['"5"', "5.0", "true", "null", "[5]", '{"credits": 5}', "5e0"]
)
def test_credits_are_whole_numbers_and_nothing_that_looks_like_one(look_alike: str) -> None:
    with pytest.raises(ValidationError):
        Priced.model_validate_json(f'{{"credits": {look_alike}}}')


@pytest.mark.parametrize("number", [0, 1, 50, WHOLE_NUMBER_MAX])
def test_credits_go_from_nothing_to_the_largest_exact_whole_number(number: int) -> None:
    assert Priced.model_validate_json(f'{{"credits": {number}}}').credits == number


@pytest.mark.parametrize("number", [-1, WHOLE_NUMBER_MAX + 1, 10**30])
def test_credits_beyond_those_ends_are_refused(number: int) -> None:
    with pytest.raises(ValidationError):
        Priced.model_validate_json(f'{{"credits": {number}}}')


def test_nothing_is_not_a_positive_number_of_credits() -> None:
    with pytest.raises(ValidationError):
        Sold.model_validate_json('{"credits": 0}')


def test_a_field_that_is_not_in_the_contract_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Priced.model_validate_json('{"credits": 5, "note": "for lunch"}')


def test_a_value_cannot_be_changed() -> None:
    value = Priced(credits=Credits(5))
    with pytest.raises(ValidationError, match="frozen"):
        value.credits = Credits(6)  # type: ignore[misc]


@pytest.mark.parametrize(
    "spelling",
    [
        "1",
        '"1700000000"',
        '"2026-11-21"',
        '"2026-11-21T09:00:00"',
        '"2026-11-21 09:00:00Z"',
        '"2026-11-21T09:00:00.1234567Z"',
        '"2026-11-21T24:00:00Z"',
        '"2026-02-30T09:00:00Z"',
        '"9999-12-31T23:59:59-14:00"',
        '"0001-01-01T00:00:00+14:00"',
        "null",
    ],
)
def test_a_moment_is_an_rfc_3339_date_time_with_a_zone_and_nothing_else(spelling: str) -> None:
    with pytest.raises(ValidationError):
        Dated.model_validate_json(f'{{"at": {spelling}}}')


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z"),
        ("2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00Z"),
        ("2026-11-21T09:00:00.5Z", "2026-11-21T09:00:00.500000Z"),
        ("2026-11-21T09:00:00.123456Z", "2026-11-21T09:00:00.123456Z"),
    ],
)
def test_a_moment_is_held_and_told_in_utc(spelling: str, canonical: str) -> None:
    dated = Dated.model_validate_json(f'{{"at": "{spelling}"}}')
    assert dated.at.tzinfo is UTC
    assert json.loads(dated.model_dump_json()) == {"at": canonical}


def test_a_moment_from_another_zone_is_the_same_moment() -> None:
    local = datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=1)))
    assert Dated(at=local).at == local


@pytest.mark.parametrize("text", ["", "a" * 65, "a b", "a/b", "ä", "a\n", "wallet=1", "a,b"])
def test_an_id_is_short_and_plain(text: str) -> None:
    with pytest.raises(ValidationError):
        Named.model_validate_json(json.dumps({"id": text}))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", '{"deep": [1e400]}'])
def test_free_json_holds_only_what_json_can_carry(text: str) -> None:
    with pytest.raises(ValidationError):
        Held.model_validate_json(f'{{"value": {text}}}')


@pytest.mark.parametrize("value", ["a\0b", ["a\0b"], {"a\0b": 1}])
def test_no_text_holds_what_no_database_can(value: object) -> None:
    with pytest.raises(ValidationError):
        Held(value=value)
    for text in ("a\0b", "\0", "a\n\0"):
        with pytest.raises(ValidationError):
            Told.model_validate_json(json.dumps({"text": text}))


@pytest.mark.parametrize("text", ["", "ä\n\t€\u2028😀", "x" * 500])
def test_text_holds_any_other_character(text: str) -> None:
    assert Told.model_validate_json(json.dumps({"text": text})).text == text


@pytest.mark.parametrize(
    "clear", ["", "{}", '{"password": "secret"}', "a.b.c.d", "a.b.c.d.e=", "…"]
)
def test_what_is_in_the_clear_is_no_ciphertext(clear: str) -> None:
    with pytest.raises(ValidationError):
        Sealed(value=clear)


def test_what_was_encrypted_is_a_ciphertext() -> None:
    Sealed(value=DataKey.generate().encrypt(b"secret"))
    _, public_key = generate_sealing_key()
    Sealed(value=DataKey.generate().seal_for(public_key))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", {1: "a number as a name"}, object()])
def test_free_json_is_not_any_python_object(value: object) -> None:
    with pytest.raises(ValidationError):
        Held(value=value)


def test_free_json_is_not_deeper_than_40() -> None:
    deepest = "[" * JSON_DEPTH_MAX + "]" * JSON_DEPTH_MAX
    Held.model_validate_json(f'{{"value": {deepest}}}')
    for depth in (JSON_DEPTH_MAX + 1, 10_000):
        with pytest.raises(ValidationError):
            Held.model_validate_json(f'{{"value": {"[" * depth}{"]" * depth}}}')


def test_a_digest_names_its_algorithm_and_a_currency_is_a_code() -> None:
    digest = f"sha256:{'0' * 64}"
    Marked(digest=digest, currency="USD")
    for wrong in ({"digest": "0" * 64, "currency": "USD"}, {"digest": digest, "currency": "usd"}):
        with pytest.raises(ValidationError):
            Marked.model_validate(wrong)


def test_money_of_one_currency_adds_up() -> None:
    one, two = Money(amount_minor=1999, currency="USD"), Money(amount_minor=-999, currency="USD")
    assert one + two == Money(amount_minor=1000, currency="USD")


def test_money_of_two_currencies_does_not() -> None:
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        Money(amount_minor=1, currency="USD") + Money(amount_minor=1, currency="EUR")


@pytest.mark.parametrize("amount", ["1.5", "1.0", '"1"', "true", str(2**53)])
def test_money_is_whole_minor_units(amount: str) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate_json(f'{{"amount_minor": {amount}, "currency": "USD"}}')
