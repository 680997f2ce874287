"""An endpoint whose certificate is not good is told nothing, and its owner is told why."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.integration.revenue.hooks import Hooks, running_hooks
from tests.integration.revenue.receivers import receiver
from tests.support.environment import Database

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AWAY: Final = datetime(2090, 1, 1, tzinfo=UTC)
HERE: Final = x509.IPAddress(ip_address("127.0.0.1"))


@dataclass
class Authority:
    """Signs certificates; `context` trusts nobody else."""

    folder: Path
    name: str = "authority"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(_name(self.name), self.key, basic=True)

    @property
    def trusted(self) -> ssl.SSLContext:
        """Return a client's context, which trusts this authority."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.certificate.public_bytes(Encoding.PEM).decode())
        return context

    def server(
        self,
        *names: x509.GeneralName,
        since: datetime = LONG_AGO,
        until: datetime = FAR_AWAY,
        self_signed: bool = False,
    ) -> ssl.SSLContext:
        """Return a server's context, whose certificate is for these names and that time."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = key if self_signed else self.key
        certificate = self._signed(_name("hook"), key, *names, since=since, until=until, by=signer)
        path = self.folder / "server.pem"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *names: x509.GeneralName,
        since: datetime = LONG_AGO,
        until: datetime = FAR_AWAY,
        by: ec.EllipticCurvePrivateKey | None = None,
        basic: bool = False,
    ) -> x509.Certificate:
        signer = by or key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signer is key else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=basic, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest_asyncio.fixture
async def hooks(database_for: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Hooks]:
    async with running_hooks(await database_for("revenue")) as running:
        yield running


async def refusal(hooks: Hooks, authority: Authority, server: ssl.SSLContext) -> str:
    """Return what the log says of a delivery to such an endpoint; it must have got nothing."""
    async with receiver(tls=server) as here:
        await hooks.registers(here.url)
        await hooks.earns()
        async with hooks.sending(tls=authority.trusted):
            [failed] = await hooks.until("webhook_attempt_failed")
        assert here.sent == []
    assert failed["answer_status"] is None
    return str(failed["error"])


async def test_a_good_certificate_is_taken(hooks: Hooks, authority: Authority) -> None:
    async with receiver(tls=authority.server(HERE)) as here:
        await hooks.registers(here.url)
        await hooks.earns()
        async with hooks.sending(tls=authority.trusted):
            await hooks.until("webhook_delivered")
        assert len(here.sent) == 1


async def test_one_that_is_signed_by_itself_is_not(hooks: Hooks, authority: Authority) -> None:
    server = authority.server(HERE, self_signed=True)
    assert await refusal(hooks, authority, server) == "the certificate is signed by itself"


async def test_one_that_has_expired_is_not(hooks: Hooks, authority: Authority) -> None:
    server = authority.server(HERE, until=LONG_AGO + timedelta(days=90))
    assert await refusal(hooks, authority, server) == "the certificate has expired"


async def test_one_that_is_not_valid_yet_is_not(hooks: Hooks, authority: Authority) -> None:
    server = authority.server(HERE, since=FAR_AWAY - timedelta(days=1))
    assert await refusal(hooks, authority, server) == "the certificate is not valid yet"


@pytest.mark.parametrize(
    "names",
    [(x509.DNSName("hooks.example.com"),), (x509.IPAddress(ip_address("127.0.0.2")),)],
)
async def test_one_for_another_host_is_not(
    hooks: Hooks, authority: Authority, names: tuple[x509.GeneralName, ...]
) -> None:
    error = await refusal(hooks, authority, authority.server(*names))
    assert error == "the certificate is for another address"


async def test_one_of_an_authority_that_nobody_knows_is_not(
    hooks: Hooks, authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    error = await refusal(hooks, authority, Authority(folder, "nobody").server(HERE))
    assert error.startswith("the certificate is signed by an authority that is not trusted")


async def test_one_that_only_names_a_good_authority_is_not(
    hooks: Hooks, authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    error = await refusal(hooks, authority, Authority(folder, authority.name).server(HERE))
    assert error == "the certificate is not signed by whom it names"


async def test_one_who_speaks_no_tls_where_it_is_due_is_told_nothing(
    hooks: Hooks, authority: Authority
) -> None:
    async with receiver() as here:
        await hooks.registers(here.url.replace("http://", "https://"))
        await hooks.earns()
        async with hooks.sending(tls=authority.trusted):
            [failed] = await hooks.until("webhook_attempt_failed")
        assert here.sent == []
    assert failed["error"] == "no secure connection could be made (TLS)"
