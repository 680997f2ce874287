"""The description tells the truth: Schemathesis tries it, and a TypeScript client is made of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.person import Person
from tests.support.npm import installs, runs
from tests.support.story import Story, deploy, module, publish_examples, story, until_ended

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
DEEP: Final = os.environ.get("TOLLGATE_FUZZ_EXAMPLES")
"""How many calls are made up for each call of the API and phase, at night: other ones each time."""
EXAMPLES: Final = DEEP or "4"
SEED: Final = () if DEEP else ("--seed", "1")
SECONDS_MAX: Final = int(
    os.environ.get("TOLLGATE_FUZZ_SECONDS_MAX", "420" if DEEP is None else "3600")
)
OUTPUT_SHOWN_MAX: Final = 20_000
PLENTY: Final = "100000"
ALL_ROLES: Final = ("user", "partner", "agent", "finance", "support", "admin")

pytestmark = [pytest.mark.timeout(SECONDS_MAX + 120)]


@pytest.fixture(scope="module")
def told() -> Iterator[Story]:
    """Run a system with something of everything, which whoever tries it out may spoil."""
    limits = {"TOLLGATE_RATE_LIMIT_PER_SECOND": PLENTY, "TOLLGATE_RATE_LIMIT_BURST": PLENTY}
    with story(environment=limits) as told:
        publish_examples(told)
        told.finance.signs_up()
        told.admin.patches(f"/api/users/{told.finance.id}", {"roles": ["user", "finance"]})
        told.admin.patches(f"/api/users/{told.admin.id}", {"roles": list(ALL_ROLES)})
        award = {"user_id": told.admin.id, "credits": 100, "reason": "to begin with"}
        told.finance.posts("/api/credits/awards", award)
        network = module(told.admin, "starter-network")
        until_ended(told.admin, deploy(told.admin, network, {})["id"])
        yield told


def token_of(person: Person) -> str:
    """Return a token that may do all that its owner may."""
    made = person.posts("/api/tokens", {"name": "tries it out", "scopes": ["read", "write"]})
    return str(made["token"])


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the TypeScript tools, at the versions of their lock file."""
    folder = tmp_path_factory.mktemp("typescript")
    shutil.copytree(
        HERE / "typescript", folder, dirs_exist_ok=True, ignore=lambda *_: ["node_modules"]
    )
    installs(folder)
    return folder


def compiles(told: Story, tools: Path, project: str) -> None:
    """Make types of the description, and a program of those and a project's files."""
    address = f"{told.system.url}/api/openapi.json"
    runs(tools, "node_modules/openapi-typescript/bin/cli.js", address, "--output", "api.d.ts")
    runs(tools, "node_modules/typescript/bin/tsc", "--project", project)


def test_a_typescript_client_is_made_of_it_compiles_and_works(told: Story, tools: Path) -> None:
    compiles(told, tools, "tsconfig.json")
    said = json.loads(runs(tools, "client.js", told.system.url, token_of(told.admin)))

    shown = told.admin.gets("/api/modules", source="admin", limit=1)["items"][0]
    assert said["email"] == told.admin.email
    assert (said["module"], said["cost"]) == (shown["name"], shown["your_cost"])
    assert said["code"] == "NOT_FOUND"


def test_the_compiler_finds_a_call_that_the_description_has_not(tools: Path, told: Story) -> None:
    wrong = (tools / "client.ts").read_text().replace("module_id: card.id", "module: card.id")
    (tools / "wrong.ts").write_text(wrong)
    project = {"extends": "./tsconfig.json", "files": ["wrong.ts", "node.d.ts"]}
    (tools / "wrong.json").write_text(json.dumps(project))

    with pytest.raises(AssertionError, match="'module' does not exist in type"):
        compiles(told, tools, "wrong.json")


def test_schemathesis_finds_nothing_wrong_with_any_call(told: Story, tmp_path: Path) -> None:
    """With one who has all roles, and is the last administrator, whom nothing can take away.

    What Schemathesis makes of the links between calls is tried too, several calls after another.
    """
    environment: dict[str, Any] = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.e2e.fuzzing.hooks",
        "PYTHONPATH": str(ROOT),
        "TOLLGATE_FUZZED_URL": told.system.url,
        "TOLLGATE_FUZZED_TOKEN": token_of(told.admin),
        "TOLLGATE_FUZZED_OTHER_TOKEN": token_of(told.finance),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli"),
            *("--config-file", str(HERE / "fuzzing" / "schemathesis.toml")),
            *("run", f"{told.system.url}/api/openapi.json"),
            *("--checks", "all", "--max-examples", EXAMPLES, *SEED),
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-OUTPUT_SHOWN_MAX:] + done.stderr
    assert "Failures" not in done.stdout
    told.system.wait_until_ready()
