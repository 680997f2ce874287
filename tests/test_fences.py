"""Every fence of `.importlinter` stands, and falls when somebody climbs over it."""

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
CONFIGURATION: Final = ".importlinter"
SECONDS_MAX: Final = 60
PREFIX: Final = "importlinter:contract:"

BREACHES: Final = (
    ("services-alone", "services/ledger/handlers.py", "import services.revenue.decider"),
    ("services-alone", "services/gateway/publishing.py", "from services.ledger import decider"),
    ("services-alone", "services/wiring.py", "import services.catalog.main, services.ledger.main"),
    ("layers", "runtime/work.py", "import services.wiring"),
    ("layers", "services/deployer/handlers.py", "import devkit.ports"),
    ("layers", "contracts/registry.py", "from runtime import ids"),
    ("layers", "devkit/up.py", "import tollgate.cli"),
    ("runtime-knows-no-business", "runtime/outbox.py", "import contracts.ledger.v1"),
    ("runtime-knows-no-business", "runtime/bus.py", "from contracts import registry"),
    ("rules-do-no-io", "services/ledger/decider.py", "import asyncpg"),
    ("rules-do-no-io", "services/ledger/decider.py", "from runtime.clock import system_clock"),
    ("rules-do-no-io", "services/ledger/lots.py", "import os"),
    ("rules-do-no-io", "services/gateway/decider/users.py", "import random"),
    ("rules-do-no-io", "services/revenue/events.py", "import pathlib"),
    ("rules-do-no-io", "services/deployer/decider.py", "import subprocess"),
    ("rules-do-no-io", "contracts/money_rules.py", "import time"),
    ("http-in-one-place", "services/ledger/handlers.py", "import fastapi"),
    ("bus-in-the-runtime", "services/revenue/handlers.py", "import nats"),
    ("bus-in-the-runtime", "services/gateway/answers.py", "from faststream import nats"),
    ("hcl-in-one-place", "services/deployer/terraform.py", "import hcl2"),
    ("yaml-in-one-place", "services/catalog/module_yaml.py", "import yaml"),
    ("passwords-in-one-place", "services/gateway/accounts.py", "import argon2"),
    ("encryption-in-one-place", "services/deployer/handlers.py", "from joserfc import jwe"),
    ("encryption-in-one-place", "services/ledger/handlers.py", "import cryptography"),
    ("stripe-in-one-place", "services/gateway/handlers.py", "import stripe"),
    ("google-in-one-place", "services/deployer/handlers.py", "from google.cloud import pubsub_v1"),
    ("traces-in-one-place", "services/ledger/handlers.py", "from opentelemetry import trace"),
)


def contracts() -> set[str]:
    read = configparser.ConfigParser()
    read.read(ROOT / CONFIGURATION)
    return {name.removeprefix(PREFIX) for name in read.sections() if name.startswith(PREFIX)}


def packages() -> list[str]:
    read = configparser.ConfigParser()
    read.read(ROOT / CONFIGURATION)
    return read["importlinter"]["root_packages"].split()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the code that may be damaged."""
    copy = tmp_path_factory.mktemp("fences")
    only_code = shutil.ignore_patterns("__pycache__", "schemas", "examples", "*.sql", "*.json")
    for package in packages():
        shutil.copytree(ROOT / package, copy / package, ignore=only_code)
    shutil.copy(ROOT / CONFIGURATION, copy)
    return copy


def lint(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (Path(sys.executable).parent / "lint-imports", "--no-cache", *words),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@contextmanager
def breach(file: Path, line: str) -> Iterator[None]:
    before = file.read_bytes()
    file.write_bytes(before + f"\n{line}\n".encode())
    try:
        yield
    finally:
        file.write_bytes(before)


def test_every_fence_stands(tree: Path) -> None:
    told = lint(tree)
    assert told.returncode == 0, told.stdout
    assert f"{len(contracts())} kept, 0 broken" in told.stdout


def test_every_fence_is_climbed_over_below() -> None:
    assert {contract for contract, _, _ in BREACHES} == contracts()


@pytest.mark.parametrize(("contract", "file", "line"), BREACHES)
def test_a_breach_is_seen(tree: Path, contract: str, file: str, line: str) -> None:
    with breach(tree / file, line):
        told = lint(tree, "--contract", contract)
    assert told.returncode == 1, told.stdout
    assert "0 kept, 1 broken" in told.stdout
