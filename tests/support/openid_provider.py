"""An OpenID Connect provider, small and real, in a process of its own; it can be told to misbehave.

It signs everybody in at once, as whoever `POST /control` said last. `/control` takes a JSON object
that replaces the behaviour that it names; `GET /control` tells how often the key set was read.
"""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey
from typing_extensions import override

from devkit.ports import free_port

CLIENT_ID: Final = "tollgate-test"
SECRET: Final = "a secret of the client"
AUDIENCE: Final = "https://tollgate.test/api"


class Provider:
    """What the provider knows and how it behaves now."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.codes: dict[str, dict[str, str]] = {}
        self.keys_read = 0
        self.behaviour: dict[str, Any] = {"claims": {}, "keys": "good", "alg": "RS256"}
        self.rotate()

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})

    def claims(self, audience: str, **more: Any) -> dict[str, Any]:
        # The provider's own clock, as a server elsewhere has one.
        now = int(time.time())  # noqa: TID251
        claims = {"iss": self.issuer, "aud": audience, "sub": "ada", "iat": now, "exp": now + 300}
        found = {**claims, **more, **self.behaviour["claims"]}
        return {name: value for name, value in found.items() if value is not None}

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.behaviour["alg"], "kid": self.key.kid, "typ": "JWT"}
        header |= self.behaviour.get("header", {})
        if header["alg"] == "none":
            parts = [base64url(json.dumps(each).encode()) for each in (header, claims)]
            return ".".join(parts) + "."
        if header["alg"] == "HS256":
            # The classic: the public key as if it were a shared secret.
            body = json.dumps(claims).encode()
            pem = OctKey.import_key(base64.b64encode(self.key.as_pem(private=False)))
            return jws.serialize_compact(header, body, pem, algorithms=["HS256"])
        signer = RSAKey.generate_key(2048) if self.behaviour.get("forged") else self.key
        # By hand, for the library refuses to make some of what must be refused.
        parts = [base64url(json.dumps(each).encode()) for each in (header, claims)]
        assert signer.private_key is not None
        signature = signer.private_key.sign(".".join(parts).encode(), PKCS1v15(), SHA256())
        return ".".join((*parts, base64url(signature)))


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Handler(BaseHTTPRequestHandler):
    """The provider's calls."""

    provider: Provider

    @override
    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        provider = self.provider
        match path:
            case "/.well-known/openid-configuration":
                issuer = provider.behaviour.get("issuer", provider.issuer)
                self.answer(
                    {
                        "issuer": issuer,
                        "authorization_endpoint": f"{provider.issuer}/authorize",
                        "token_endpoint": f"{provider.issuer}/token",
                        "jwks_uri": f"{provider.issuer}/keys",
                        "authorization_response_iss_parameter_supported": True,
                    }
                )
            case "/keys":
                provider.keys_read += 1
                if provider.behaviour["keys"] == "gone":
                    self.answer({}, status=404)
                    return
                empty = provider.behaviour["keys"] == "empty"
                self.answer({"keys": [] if empty else [provider.key.as_dict(private=False)]})
            case "/authorize":
                code = secrets.token_urlsafe(16)
                provider.codes[code] = query
                back = {"code": code, "state": query["state"], "iss": provider.issuer, "hd": "x"}
                back |= provider.behaviour.get("back", {})
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/control":
                self.answer({"keys_read": provider.keys_read})
            case _:
                self.answer({}, status=404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        provider = self.provider
        if self.path == "/control":
            asked = json.loads(body)
            if asked.pop("rotate", False):
                provider.rotate()
            provider.behaviour |= asked
            mint = asked.get("mint")
            self.answer({"token": None if mint is None else provider.sign(provider.claims(mint))})
            return
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        asked = provider.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{quote(SECRET)}".encode()).decode()
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if (
            asked is None
            or self.headers.get("authorization") != f"Basic {basic}"
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            self.answer({"error": "invalid_grant"}, status=400)
            return
        claims = provider.claims(CLIENT_ID, nonce=asked["nonce"])
        self.answer(
            {"id_token": provider.sign(claims), "access_token": "x", "token_type": "Bearer"}
        )

    def answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Issuer:
    """A provider that runs."""

    url: str

    def behaves(self, **behaviour: Any) -> dict[str, Any]:
        """Have it behave so from now on."""
        body = json.dumps(behaviour).encode()
        request = urllib.request.Request(f"{self.url}/control", body)  # noqa: S310 - our own http
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - likewise
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def mints(self, audience: str = AUDIENCE, **behaviour: Any) -> str:
        """Return a JWT as it makes them now."""
        token: str = self.behaves(mint=audience, **behaviour)["token"]
        return token

    def keys_read(self) -> int:
        with urllib.request.urlopen(f"{self.url}/control", timeout=5) as answer:  # noqa: S310 - our own http
            count: int = json.loads(answer.read())["keys_read"]
        return count


@contextmanager
def running_provider() -> Iterator[Issuer]:
    """Give a provider in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.openid_provider", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield Issuer(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def main() -> None:
    port = int(sys.argv[1])
    Handler.provider = Provider(f"http://127.0.0.1:{port}")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
