"""Signing in with an OpenID Connect provider, and its JWTs; whatever the provider does."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import pytest_asyncio
from pydantic import SecretStr

from devkit.ports import free_port
from runtime.clock import system_clock
from services.gateway.http.problems import CODES
from services.gateway.jwt_reader import BadTokenError
from services.gateway.openid_provider import Client, OpenIdProvider
from tests.integration.gateway.api import PASSWORD, Api, Person, running_api
from tests.support.environment import Database
from tests.support.openid_provider import AUDIENCE, CLIENT_ID, SECRET, Issuer, running_provider

ADA = {"sub": "ada", "email": "ada@example.com", "email_verified": True, "name": "Ada"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Issuer]:
    with running_provider() as issuer:
        yield issuer


@pytest.fixture
def issuer(provider: Issuer) -> Issuer:
    provider.behaves(
        claims=ADA, keys="good", alg="RS256", back={}, header={}, forged=False, issuer=provider.url
    )
    return provider


@pytest_asyncio.fixture
async def site(gateway_database: Database, issuer: Issuer) -> AsyncIterator[Api]:
    """Give a gateway that knows the provider."""
    port = free_port()
    async with running_api(
        gateway_database,
        http_port=port,
        public_url=f"http://127.0.0.1:{port}",
        oidc_issuer=issuer.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(SECRET),
        oidc_audience=AUDIENCE,
    ) as api:
        yield api


async def goes_there(person: Person, **query: str) -> str:
    """Return where the provider sends somebody back to, who went there from our sign-in."""
    out = await person.asks("GET", "/auth/oidc/login", params=query)
    assert out.status_code == 303, out.text
    async with httpx2.AsyncClient() as browser:
        back = await browser.get(out.headers["location"])
    return back.headers["location"]


async def signs_in(person: Person, **query: str) -> httpx2.Response:
    return await person.asks("GET", await goes_there(person, **query))


async def is_sent_to_sign_in(person: Person, path: str, code: str) -> None:
    """Somebody comes back, is not signed in, and sees a page that can say why; no JSON."""
    back = await person.asks("GET", path)

    assert (back.status_code, back.headers["location"]) == (303, f"/signin?error={code}"), back.text
    assert back.headers["cache-control"] == "no-store"
    assert back.content == b""
    assert "tollgate_session=" not in back.headers["set-cookie"]
    assert code in CODES


async def test_somebody_new_signs_in_and_is_a_user_without_a_password(site: Api) -> None:
    ada = Person(site.client())

    back = await signs_in(ada, return_to="/deploy?tab=partner")
    me = await ada.gets("/api/me")

    assert (back.status_code, back.headers["location"]) == (303, "/deploy?tab=partner")
    assert back.headers["cache-control"] == "no-store"
    assert (me["email"], me["name"], me["roles"]) == ("ada@example.com", "Ada", ["user"])
    for password in ("", "-", "null", PASSWORD):
        await Person(site.client()).is_refused(
            "POST", "/api/session", {"email": "ada@example.com", "password": password},
            status=401, code="BAD_CREDENTIALS",
        )  # fmt: skip


async def test_the_way_out_is_what_the_standards_say(site: Api, issuer: Issuer) -> None:
    out = await Person(site.client()).asks("GET", "/auth/oidc/login")
    query = {k: v[0] for k, v in parse_qs(urlsplit(out.headers["location"]).query).items()}

    assert out.headers["location"].startswith(f"{issuer.url}/authorize?")
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert min(len(query["state"]), len(query["nonce"]), len(query["code_challenge"])) >= 43
    cookie = out.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/auth/oidc"))
    assert query["state"] not in cookie


async def test_the_same_subject_is_the_same_user_whatever_address_it_has(
    site: Api, issuer: Issuer
) -> None:
    ada, again = Person(site.client()), Person(site.client())
    await signs_in(ada)
    issuer.behaves(claims={**ADA, "email": "other@example.com", "email_verified": False})
    await signs_in(again)

    assert (await again.gets("/api/me"))["id"] == (await ada.gets("/api/me"))["id"]


async def test_linking_takes_an_account_from_whoever_made_it_for_another(site: Api) -> None:
    squatter = await site.person(email="ada@example.com")
    token = (await squatter.posts("/api/tokens", {"name": "x"}))["token"]
    ada = Person(site.client())
    await signs_in(ada)

    assert (await ada.gets("/api/me"))["id"] == squatter.id
    await squatter.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED")
    bearer = {"headers": {"Authorization": f"Bearer {token}"}}
    stranger = Person(site.client())
    await stranger.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED", **bearer)
    body = {"email": "ada@example.com", "password": PASSWORD}
    await stranger.is_refused("POST", "/api/session", body, status=401, code="BAD_CREDENTIALS")


async def test_an_address_that_goes_to_another_subject_takes_no_account_with_it(
    site: Api, issuer: Issuer
) -> None:
    await signs_in(Person(site.client()))
    issuer.behaves(claims={**ADA, "sub": "the new ada"})
    other = Person(site.client())

    await is_sent_to_sign_in(other, await goes_there(other), "EMAIL_TAKEN")


async def test_a_sign_in_ends_the_session_that_was_before(site: Api) -> None:
    ada = Person(site.client())
    await signs_in(ada)
    before = ada.client.cookies["tollgate_session"]
    await signs_in(ada)

    old = {"headers": {"cookie": f"tollgate_session={before}"}}
    await Person(site.client()).is_refused(
        "GET", "/api/me", status=401, code="UNAUTHENTICATED", **old
    )


async def test_whoever_is_deactivated_does_not_come_in_by_the_provider(site: Api) -> None:
    ada, admin = Person(site.client()), await site.person("admin")
    await signs_in(ada)
    me = await ada.gets("/api/me")
    await admin.asks("PATCH", f"/api/users/{me['id']}", {"active": False})

    await is_sent_to_sign_in(ada, await goes_there(ada), "ACCOUNT_INACTIVE")


async def test_an_answer_is_good_only_where_it_was_asked_for_and_once(site: Api) -> None:
    ada, mallory = Person(site.client()), Person(site.client())
    back = await goes_there(ada)
    mismatch = "OIDC_STATE_MISMATCH"

    await is_sent_to_sign_in(mallory, back, mismatch)
    await goes_there(mallory)
    await is_sent_to_sign_in(mallory, back, mismatch)
    assert (await ada.asks("GET", back)).headers["location"] == "/"
    await is_sent_to_sign_in(ada, back, mismatch)
    await goes_there(ada)
    await is_sent_to_sign_in(ada, "/auth/oidc/callback", mismatch)


@pytest.mark.parametrize(
    "return_to",
    ["//evil.example", "/\\evil.example", "https://evil.example", "x", "/a\nb", "/a\r\nA: b"],
)
async def test_nobody_is_sent_elsewhere_afterwards(site: Api, return_to: str) -> None:
    await Person(site.client()).is_refused(
        "GET", "/auth/oidc/login", status=422, code="INVALID_INPUT",
        params={"return_to": return_to},
    )  # fmt: skip


MISDEEDS: list[tuple[str, dict[str, Any], str]] = [
    ("no algorithm", {"alg": "none"}, "OIDC_REFUSED"),
    ("the public key as a secret", {"alg": "HS256"}, "OIDC_REFUSED"),
    ("another's signature", {"forged": True}, "OIDC_REFUSED"),
    ("another's nonce", {"claims": {**ADA, "nonce": "x"}}, "OIDC_REFUSED"),
    ("no nonce", {"claims": {**ADA, "nonce": None}}, "OIDC_REFUSED"),
    ("another's audience", {"claims": {**ADA, "aud": "another"}}, "OIDC_REFUSED"),
    ("another party", {"claims": {**ADA, "azp": "another"}}, "OIDC_REFUSED"),
    ("another issuer's token", {"claims": {**ADA, "iss": "https://x"}}, "OIDC_REFUSED"),
    ("another issuer's answer", {"back": {"iss": "https://x"}}, "OIDC_REFUSED"),
    ("expired", {"claims": {**ADA, "exp": 1_000_000_000}}, "OIDC_REFUSED"),
    ("without an end", {"claims": {**ADA, "exp": None}}, "OIDC_REFUSED"),
    ("nobody", {"claims": {**ADA, "sub": None}}, "OIDC_REFUSED"),
    ("an unknown critical header", {"header": {"crit": ["x"], "x": 1}}, "OIDC_REFUSED"),
    ("a code of nobody's", {"back": {"code": "x"}}, "OIDC_REFUSED"),
    ("refused there", {"back": {"error": "access_denied"}}, "OIDC_REFUSED"),
    ("no keys", {"keys": "empty"}, "OIDC_REFUSED"),
    ("no key set", {"keys": "gone"}, "OIDC_REFUSED"),
    ("another state", {"back": {"state": "x"}}, "OIDC_STATE_MISMATCH"),
    (
        "an address that is not verified",
        {"claims": {**ADA, "email_verified": False}},
        "OIDC_EMAIL_NOT_VERIFIED",
    ),
    (
        "verified, as a text",
        {"claims": {**ADA, "email_verified": "true"}},
        "OIDC_EMAIL_NOT_VERIFIED",
    ),
    ("no address", {"claims": {**ADA, "email": None}}, "OIDC_EMAIL_NOT_VERIFIED"),
]


@pytest.mark.parametrize(("what", "behaviour", "code"), MISDEEDS)
async def test_what_the_provider_must_not_say_signs_nobody_in(
    *, site: Api, issuer: Issuer, what: str, behaviour: dict[str, Any], code: str
) -> None:
    issuer.behaves(**behaviour)
    ada = Person(site.client())

    await is_sent_to_sign_in(ada, await goes_there(ada), code)

    await ada.is_refused("GET", "/api/me", status=401, code="UNAUTHENTICATED")
    assert await site.running.pool.fetchval("select count(*) from accounts") == 0, what


async def test_a_provider_that_says_it_is_another_is_not_used(site: Api, issuer: Issuer) -> None:
    issuer.behaves(issuer="https://another.example")

    await is_sent_to_sign_in(Person(site.client()), "/auth/oidc/login", "OIDC_UNAVAILABLE")


async def test_registration_that_is_closed_is_closed_here_too(site: Api) -> None:
    admin = await site.person("admin")
    await admin.asks("PATCH", "/api/settings", {"self_registration": False})
    ada = Person(site.client())

    await is_sent_to_sign_in(ada, await goes_there(ada), "REGISTRATION_CLOSED")


async def asks_with(site: Api, token: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await Person(site.client()).asks("GET", "/api/me", headers=headers)


async def test_a_jwt_of_the_issuer_is_the_user_whom_it_names(site: Api, issuer: Issuer) -> None:
    ada = Person(site.client())
    unknown = await asks_with(site, issuer.mints())
    await signs_in(ada)
    known = await asks_with(site, issuer.mints())

    assert unknown.status_code == 401
    assert known.json()["id"] == (await ada.gets("/api/me"))["id"]


@pytest.mark.parametrize(
    ("scope", "reads", "writes"),
    [
        (None, 200, 204),
        ("read write", 200, 204),
        ("openid read", 200, 403),
        ("write", 403, 204),
        ("openid profile", 403, 403),
        ("", 403, 403),
        ("readwrite", 403, 403),
        ("READ", 403, 403),
    ],
)
async def test_a_jwt_may_do_what_its_scope_says_as_an_api_token_may(
    *, site: Api, issuer: Issuer, scope: str | None, reads: int, writes: int
) -> None:
    await signs_in(Person(site.client()))
    token = issuer.mints(claims={**ADA, "scope": scope})
    program = Person(site.client())
    headers = {"Authorization": f"Bearer {token}"}

    read = await program.asks("GET", "/api/me", headers=headers)
    written = await program.asks("DELETE", "/api/me", headers=headers)

    assert (read.status_code, written.status_code) == (reads, writes)
    for answer in (read, written):
        assert answer.status_code < 400 or answer.json()["code"] == "INSUFFICIENT_SCOPE"


@pytest.mark.parametrize(
    "behaviour",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"forged": True},
        {"claims": {**ADA, "scope": ["read", "write"]}},
        {"claims": {**ADA, "exp": 1_000_000_000}},
        {"claims": {**ADA, "exp": None}},
        {"claims": {**ADA, "nbf": 9_000_000_000}},
        {"claims": {**ADA, "aud": CLIENT_ID}},
        {"claims": {**ADA, "aud": None}},
        {"claims": {**ADA, "iss": "https://x"}},
        {"claims": {**ADA, "sub": 7}},
        {"header": {"kid": None}},
        {"header": {"kid": "../keys"}},
    ],
)
async def test_a_jwt_that_is_not_good_is_a_401(
    site: Api, issuer: Issuer, behaviour: dict[str, Any]
) -> None:
    await signs_in(Person(site.client()))
    assert (await asks_with(site, issuer.mints())).status_code == 200

    refused = await asks_with(site, issuer.mints(**behaviour))

    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")
    assert "invalid_token" in refused.headers["www-authenticate"]


@pytest.mark.parametrize("keys", ["gone", "empty"])
async def test_without_a_key_set_no_jwt_is_good_and_nothing_breaks(
    site: Api, issuer: Issuer, keys: str
) -> None:
    token = issuer.mints(keys=keys)

    refused = await asks_with(site, token)

    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")


def knows(issuer: Issuer, **options: Any) -> OpenIdProvider:
    client = Client(issuer=issuer.url, client_id=CLIENT_ID, secret=None, audience=AUDIENCE)
    return OpenIdProvider(client, system_clock, **options)


async def test_new_keys_are_read_when_a_token_names_one(issuer: Issuer) -> None:
    provider = knows(issuer, asked_again_after_seconds=0.0)
    old = issuer.mints()
    await provider.claims(old, AUDIENCE)
    new = issuer.mints(rotate=True)

    assert (await provider.claims(new, AUDIENCE))["sub"] == "ada"
    with pytest.raises(BadTokenError):
        await provider.claims(old, AUDIENCE)


async def test_keys_that_vanish_are_believed_for_a_while(issuer: Issuer) -> None:
    provider = knows(issuer, asked_again_after_seconds=0.0)
    await provider.claims(issuer.mints(), AUDIENCE)
    issuer.behaves(keys="gone")

    assert (await provider.claims(issuer.mints(), AUDIENCE))["sub"] == "ada"
    with pytest.raises(BadTokenError):
        await provider.claims(issuer.mints(header={"kid": "new"}), AUDIENCE)


async def test_whoever_makes_keys_up_has_the_key_set_read_once(issuer: Issuer) -> None:
    provider = knows(issuer)
    before = issuer.keys_read()
    for number in range(20):
        with pytest.raises(BadTokenError):
            await provider.claims(issuer.mints(header={"kid": f"made up {number}"}), AUDIENCE)

    assert issuer.keys_read() == before + 1
