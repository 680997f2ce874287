"""The platform's settings over HTTP."""

from typing import Any

import pytest

from contracts.gateway.v1 import SettingsChanged
from tests.integration.gateway.api import Api
from tests.integration.gateway.wallets import Ledger


async def test_settings_begin_with_defaults_that_everybody_is_told(api: Api) -> None:
    admin = await api.person("admin")

    settings = await admin.gets("/api/settings")
    told = await api.asked(SettingsChanged)

    assert (settings["version"], settings["credits_enabled"], settings["currency"]) == (
        1,
        True,
        "USD",
    )
    assert (told.data.settings_version, told.data.changed_by) == (1, "system")


async def test_what_is_set_is_read_and_told_whole(api: Api) -> None:
    admin = await api.person("admin")
    changes = {
        "credits_per_unit": 2,
        "credit_bundles": [
            {"credits": 100, "bonus": 10, "price": {"amount_minor": 9000, "currency": "USD"}}
        ],
        "signup_award": 30,
        "award_expiry_days": 365,
        "partner_revenue_share": "30.00",
        "agent_revenue_share": "7.5",
        "retention_days": None,
        "platform_repository": {"url": "/srv/modules", "branch": "main", "token": "hush-hush"},
    }

    answer = await admin.asks("PATCH", "/api/settings", changes)
    told = await api.asked(SettingsChanged, after=1)
    everything = await api.running.pool.fetch(
        """select body from facts union all select body from outbox
           union all select secrets::text from secrets"""
    )

    shown = answer.json()
    assert answer.status_code == 200, answer.text
    assert (shown["version"], shown["partner_revenue_share"]) == (2, "30.00")
    assert shown["agent_revenue_share"] == "7.50"
    assert shown["credit_bundles"] == changes["credit_bundles"]
    assert shown["platform_repository"] == {
        "url": "/srv/modules",
        "branch": "main",
        "token_configured": True,
        "webhook_secret_configured": False,
    }
    assert (told.data.signup_award, told.data.shares[0].partner_basis_points) == (30, 3000)
    assert told.data.shares[0].agent_basis_points == 750
    assert told.data.platform_repository_url == "/srv/modules"
    assert not any("hush-hush" in row[0] for row in everything)


async def test_a_secret_is_taken_away_by_null_and_kept_by_silence(api: Api) -> None:
    admin = await api.person("admin")
    repository = {"url": "/srv/modules", "token": "hush", "webhook_secret": "whisper"}
    await admin.asks("PATCH", "/api/settings", {"platform_repository": repository})

    shown = await admin.asks("PATCH", "/api/settings", {"platform_repository": {"token": None}})

    found = shown.json()["platform_repository"]
    assert (found["url"], found["token_configured"]) == ("/srv/modules", False)
    assert found["webhook_secret_configured"] is True
    assert await api.running.pool.fetchval("select count(*) from secrets") == 1


async def test_shares_are_planned_for_later(api: Api) -> None:
    admin = await api.person("admin")
    await admin.asks("PATCH", "/api/settings", {"partner_revenue_share": "30.00"})

    answer = await admin.asks(
        "PATCH",
        "/api/settings",
        {"partner_revenue_share": "40.00", "effective_from": "2999-01-01T00:00:00Z"},
    )

    shown = answer.json()
    assert shown["partner_revenue_share"] == "30.00"
    assert shown["scheduled_shares"] == [
        {
            "effective_from": "2999-01-01T00:00:00Z",
            "partner_revenue_share": "40.00",
            "agent_revenue_share": "0.00",
        }
    ]


async def test_finance_reads_and_sets_the_shares_and_nothing_else(api: Api) -> None:
    finance, ada = await api.person("finance"), await api.person()

    shares = await finance.asks("PATCH", "/api/settings", {"agent_revenue_share": "10.00"})

    assert shares.status_code == 200
    await finance.is_refused(
        "PATCH", "/api/settings", {"signup_award": 1}, status=403, code="FORBIDDEN"
    )
    for method, body in (("GET", None), ("PATCH", {})):
        await ada.is_refused(method, "/api/settings", body, status=403, code="FORBIDDEN")


IN_EUROS = {"amount_minor": 1, "currency": "EUR"}
WRONG: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"partner_revenue_share": 30}, 422, "INVALID_INPUT", "/partner_revenue_share"),
    ({"partner_revenue_share": "30.123"}, 422, "INVALID_INPUT", "/partner_revenue_share"),
    ({"partner_revenue_share": "101"}, 422, "INVALID_INPUT", "/partner_revenue_share"),
    (
        {"partner_revenue_share": "60", "agent_revenue_share": "40.01"},
        422,
        "INVALID_SETTINGS",
        "/agent_revenue_share",
    ),
    ({"signup_award": -1}, 422, "INVALID_INPUT", "/signup_award"),
    ({"signup_award": 1.5}, 422, "INVALID_INPUT", "/signup_award"),
    ({"signup_award": "30"}, 422, "INVALID_INPUT", "/signup_award"),
    ({"signup_award": None}, 422, "INVALID_INPUT", "/signup_award"),
    ({"credits_enabled": "yes"}, 422, "INVALID_INPUT", "/credits_enabled"),
    ({"credits_per_unit": 0}, 422, "INVALID_INPUT", "/credits_per_unit"),
    ({"currency": "usd"}, 422, "INVALID_INPUT", "/currency"),
    ({"retention_days": 0}, 422, "INVALID_INPUT", "/retention_days"),
    ({"effective_from": "tomorrow"}, 422, "INVALID_INPUT", "/effective_from"),
    (
        {"effective_from": "2020-01-01T00:00:00Z", "agent_revenue_share": "1"},
        422,
        "INVALID_SETTINGS",
        "/effective_from",
    ),
    (
        {
            "credit_bundles": [
                {"credits": 1, "bonus": 0, "price": {"amount_minor": 1, "currency": "EUR"}}
            ]
        },
        422,
        "INVALID_SETTINGS",
        "/credit_bundles",
    ),
    (
        {"platform_repository": {"url": "https://u:p@example.com/x"}},
        422,
        "INVALID_REPOSITORY",
        "/platform_repository/url",
    ),
    ({"platform_repository": {"tokens": "x"}}, 422, "INVALID_INPUT", "/platform_repository/tokens"),
    ({"colour": "red"}, 422, "INVALID_INPUT", "/colour"),
]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    WRONG,
    ids=[str(w[0])[:50] for w in WRONG],
)
async def test_settings_that_cannot_be_are_refused_by_name(
    *, api: Api, body: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    admin = await api.person("admin")

    problem = await admin.is_refused("PATCH", "/api/settings", body, status=status, code=code)

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert (await admin.gets("/api/settings"))["version"] == 1


async def test_the_currency_is_fixed_once_credits_were_sold_for_it(api: Api) -> None:
    admin, ada = await api.person("admin"), await api.person()
    before = await admin.asks("PATCH", "/api/settings", {"currency": "EUR"})
    await admin.asks("PATCH", "/api/settings", {"currency": "USD"})
    await Ledger(api, ada.id).sells(100, 10_000)

    assert before.status_code == 200
    await admin.is_refused(
        "PATCH", "/api/settings", {"currency": "EUR"}, status=409, code="CURRENCY_FIXED"
    )
    same = await admin.asks("PATCH", "/api/settings", {"currency": "USD"})
    assert same.status_code == 200


async def test_of_two_who_change_what_they_read_one_is_told(api: Api) -> None:
    admin = await api.person("admin")
    tag = (await admin.asks("GET", "/api/settings")).headers["etag"]
    first = await admin.asks(
        "PATCH", "/api/settings", {"signup_award": 1}, headers={"If-Match": tag}
    )

    assert first.status_code == 200
    await admin.is_refused(
        "PATCH", "/api/settings", {"signup_award": 2},
        status=412, code="PRECONDITION_FAILED", headers={"If-Match": tag},
    )  # fmt: skip
