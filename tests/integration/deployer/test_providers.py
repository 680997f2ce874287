"""Where providers come from: a mirror, which many builds read at a time."""

import asyncio
import hashlib
import json
import platform
import ssl
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from services.deployer.isolation import isolation
from services.deployer.terraform import cli_config
from tests.integration.deployer.modules import module, running, terraform_without_a_room
from tests.integration.deployer.processes import HandledDeployer
from tests.support.tools import lacking, program

PROVIDER = "acme.example/tools/hammer"
VERSION = "1.2.3"
NEEDS_IT = f"""
terraform {{
  required_providers {{
    hammer = {{
      source  = "{PROVIDER}"
      version = "{VERSION}"
    }}
  }}
}}
"""


@pytest.fixture(autouse=True)
def _terraform() -> None:
    """Every test here runs Terraform."""
    program("terraform")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Give a mirror with a provider in it that installs, which is all that Terraform looks at."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        lacking("a known machine", f"Terraform's name of {platform.machine()} is not known here")
    folder = tmp_path / "mirror" / PROVIDER / VERSION / f"linux_{machine}"
    folder.mkdir(parents=True)
    binary = folder / f"terraform-provider-hammer_v{VERSION}"
    binary.write_text("#!/bin/sh\nexit 1\n")
    binary.chmod(0o755)
    return tmp_path / "mirror"


@pytest.fixture
def bounds(mirror: Path) -> dict[str, Any]:
    return {"provider_mirror": str(mirror), "concurrent_builds_max": 4}


async def told_by(deployer: HandledDeployer, folder: Path) -> dict[str, Any]:
    """Deploy a module and return the last fact of it."""
    deployment_id = await deployer.deploy(folder, {})
    await deployer.until_ended(deployment_id)
    told: dict[str, Any] = json.loads(await deployer.last_fact(deployment_id))
    return told | {"log": await deployer.log(deployment_id)}


def content_of(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def test_builds_at_the_same_time_take_a_provider_from_the_mirror_and_leave_it_as_it_was(
    deployer: HandledDeployer, mirror: Path, tmp_path: Path
) -> None:
    before = content_of(mirror)
    folder = module(tmp_path / "module", NEEDS_IT)
    told = await asyncio.gather(*(told_by(deployer, folder) for _ in range(4)))
    for each in told:
        assert f"Installed {PROVIDER} v{VERSION}" in each["log"]
    assert content_of(mirror) == before


async def test_a_build_cannot_put_its_own_program_in_the_place_of_a_provider(
    deployer: HandledDeployer, mirror: Path, tmp_path: Path
) -> None:
    found = isolation(deployer.settings.work_dir, deployer.settings.first_build_uid, None)
    if not found.in_room:
        lacking("namespaces", "this machine makes no rooms for builds")
    before = content_of(mirror)
    writes = f"for p in $(find {mirror} -type f); do (echo evil > $p) || echo kept out; done"
    told = await told_by(deployer, running(tmp_path / "evil", writes))
    assert told["log"].count("(local-exec): kept out") == len(before) == 1
    assert content_of(mirror) == before


class TestNothingElse:
    """Where providers come from a mirror only, nobody else is asked."""

    @pytest.fixture
    def bounds(self, mirror: Path) -> dict[str, Any]:
        return {"provider_mirror": str(mirror), "providers_direct": False}

    async def test_what_the_mirror_has_not_is_missing(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        folder = module(tmp_path / "module", NEEDS_IT.replace("hammer", "saw"))
        told = await told_by(deployer, folder)
        assert told["fact"] == "build_failed"
        assert "acme.example/tools/saw" in told["message"]
        assert "dial tcp" not in told["log"]
        assert "Not reachable" not in told["log"]


class TestAway:
    """A mirror on the network is asked for by the address that is set."""

    @pytest.fixture
    def bounds(self) -> dict[str, Any]:
        return {"provider_mirror": "https://mirror.invalid/providers/", "providers_direct": False}

    async def test_a_mirror_that_is_away_is_named(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        told = await told_by(deployer, module(tmp_path / "module", NEEDS_IT))
        assert told["fact"] == "build_failed"
        assert "mirror.invalid" in told["message"]


class TestOnTheNetwork:
    """A mirror on the network, over HTTPS, by Terraform's own protocol."""

    @pytest.fixture
    def bounds(self, mirror: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
        """Serve the mirror on this machine, which a room cannot reach: so there is none here."""
        [binary] = mirror.rglob("terraform-provider-*")
        with zipfile.ZipFile(mirror / PROVIDER / "hammer.zip", "w") as packed:
            packed.write(binary, binary.name)
        archive = {"url": "hammer.zip", "hashes": []}
        (mirror / PROVIDER / "index.json").write_text(json.dumps({"versions": {VERSION: {}}}))
        version = {"archives": {binary.parent.name: archive}}
        (mirror / PROVIDER / f"{VERSION}.json").write_text(json.dumps(version))
        certificate = self_signed(tmp_path)
        trusts = f"export SSL_CERT_FILE={certificate}"
        wrapper = terraform_without_a_room(tmp_path, trusts)
        with served(mirror, certificate) as port:
            yield {
                "provider_mirror": f"https://localhost:{port}/",
                "providers_direct": False,
                "terraform": str(wrapper),
            }

    async def test_a_provider_comes_from_there_and_what_is_not_there_is_missing(
        self, deployer: HandledDeployer, tmp_path: Path
    ) -> None:
        told = await told_by(deployer, module(tmp_path / "module", NEEDS_IT))
        assert f"Installed {PROVIDER} v{VERSION}" in told["log"]
        other = module(tmp_path / "other", NEEDS_IT.replace("hammer", "saw"))
        told = await told_by(deployer, other)
        assert (told["code"], told["platform_fault"]) == ("PROVIDER_MISSING", False)
        assert "acme.example/tools/saw" in told["message"]


def self_signed(folder: Path) -> Path:
    """Return a certificate for this machine, with its key, in one file."""
    path = folder / "certificate.pem"
    words = (
        program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", str(path),
    )  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, cwd=folder)
    return path


@contextmanager
def served(folder: Path, certificate: Path) -> Iterator[int]:
    """Serve a folder over HTTPS on this machine; give the port."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_folder_with_quotes_in_its_name_is_still_one_folder(tmp_path: Path) -> None:
    odd = tmp_path / 'a "mirror" of ${mine}'
    (odd / "acme.example" / "tools" / "hammer").mkdir(parents=True)
    config = cli_config(str(odd), direct=True)
    assert 'a \\"mirror\\" of $${mine}"' in config
    assert 'exclude = ["acme.example/tools/hammer"]' in config
    assert "direct" not in cli_config(str(odd), direct=False)
    assert cli_config(None, direct=True) == ""
