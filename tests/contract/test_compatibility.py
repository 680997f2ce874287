"""What was released stays: each way to break it is tried on a small project, in real git."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import pytest

from contracts import export
from contracts.compatibility import Past, Present, Release, problems, release
from contracts.export import Contract
from contracts.registry import REGISTRY
from devkit import contract_releases
from devkit.contract_releases import read_history

PUT: Final[dict[str, Any]] = {
    "$id": "urn:tollgate:schema:shop:put:v1",
    "title": "Put",
    "description": "Something was put on a shelf.",
    "type": "object",
    "properties": {"shelf": {"$ref": "#/$defs/Shelf"}, "count": {"type": "integer", "maximum": 9}},
    "required": ["shelf", "count"],
    "additionalProperties": False,
    "$defs": {"Shelf": {"type": "string", "maxLength": 20, "description": "Which."}},
}
V1: Final = Contract("tollgate.shop.put.v1", "shop/put.v1.json", "tollgate.shop.shelf.put.v1", PUT)
V2: Final = replace(
    V1,
    name="tollgate.shop.put.v2",
    path="shop/put.v2.json",
    subject="tollgate.shop.shelf.put.v2",
    version=2,
    sent=False,
)
EXAMPLE: Final = {"shelf": "A", "count": 3}
NOTHING: Final[Mapping[str, Release]] = {}


def present(*contracts: Contract, released: Mapping[str, Release] = NOTHING) -> Present:
    return Present(
        contracts=contracts,
        stale_schemas={},
        examples={contract.path: EXAMPLE for contract in contracts},
        released=released,
    )


RELEASED: Final = release(present(V1))


def past(released: Mapping[str, Release] = RELEASED, schema: Any = PUT) -> Past:
    return Past(released, lambda _: schema)


def test_what_is_agreed_on_now_keeps_what_was_released() -> None:
    """The gate itself, on this project."""
    assert contract_releases.problems() == []


def test_a_release_that_nobody_touched_is_fine() -> None:
    assert problems(present(V1, released=RELEASED), [past({}), past()]) == []


def test_what_is_not_released_yet_may_change() -> None:
    changed = replace(V1, schema=PUT | {"properties": {"shelf": {"type": "integer"}}})
    assert problems(present(changed), [past({})]) == []


def test_words_may_be_made_better() -> None:
    reworded = PUT | {
        "description": "Goods were put on a shelf.",
        "properties": {"count": PUT["properties"]["count"], "shelf": {"$ref": "#/$defs/Rack"}},
        "required": ["count", "shelf"],
        "$defs": {"Rack": {"maxLength": 20, "type": "string"}},
    }
    assert problems(present(replace(V1, schema=reworded), released=RELEASED), [past()]) == []


@pytest.mark.parametrize(
    ("properties", "difference"),
    [
        ({"count": {"type": "integer", "maximum": 10}}, "/properties/count/maximum: 9 → 10"),
        (
            {"count": {"type": "number", "maximum": 9}},
            '/properties/count/type: "integer" → "number"',
        ),
        ({"note": {"type": "string"}}, '/properties/note: new, {"type": "string"}'),
    ],
)
def test_a_released_schema_that_changes_is_refused_and_the_change_is_named(
    properties: dict[str, Any], difference: str
) -> None:
    changed = replace(V1, schema=PUT | {"properties": PUT["properties"] | properties})
    assert problems(present(changed, released=RELEASED), [past()]) == [
        "tollgate.shop.put.v1: released, and its schema is another now; make a next version",
        f"tollgate.shop.put.v1: {difference}",
    ]


def test_even_a_new_optional_field_is_refused_since_older_readers_forbid_it() -> None:
    optional = PUT["properties"] | {"note": {"type": "string", "default": ""}}
    changed = replace(V1, schema=PUT | {"properties": optional})
    assert problems(present(changed, released=RELEASED), [past()]) != []


def test_a_definition_that_changes_changes_the_schema_that_uses_it() -> None:
    changed = replace(V1, schema=PUT | {"$defs": {"Shelf": {"type": "string", "maxLength": 21}}})
    assert problems(present(changed, released=RELEASED), [past()]) == [
        "tollgate.shop.put.v1: released, and its schema is another now; make a next version",
        "tollgate.shop.put.v1: /properties/shelf/maxLength: 20 → 21",
    ]


def test_a_released_message_does_not_move_to_another_kind_of_stream() -> None:
    moved = replace(V1, subject="tollgate.shop.basket.put.v1")
    assert problems(present(moved, released=RELEASED), [past()]) == [
        "tollgate.shop.put.v1: released, and its subject is another now; make a next version"
    ]


def test_a_golden_example_is_kept_as_it_is() -> None:
    now = present(V1, released=RELEASED)
    changed = replace(now, examples={V1.path: EXAMPLE | {"count": 4}})
    assert problems(changed, [past()]) == [
        "tollgate.shop.put.v1: released, and its example is another now; make a next version"
    ]


def test_a_released_message_does_not_go() -> None:
    assert problems(present(released=RELEASED), [past()]) == [
        "tollgate.shop.put.v1: released, and its class is gone"
    ]


def test_a_release_cannot_be_struck_off_the_list() -> None:
    assert problems(present(V1), [past()]) == [
        "tollgate.shop.put.v1: released once, and released.json does not say so as it did"
    ]


def test_a_release_cannot_be_written_anew_for_a_changed_schema() -> None:
    changed = replace(V1, schema=PUT | {"additionalProperties": True})
    forged = release(present(changed))
    assert problems(present(changed, released=forged), [past()]) == [
        "tollgate.shop.put.v1: released once, and released.json does not say so as it did",
        "tollgate.shop.put.v1: /additionalProperties: false → true",
    ]


def test_an_orphan_and_a_stale_schema_and_a_missing_example_are_named() -> None:
    untidy = replace(
        present(V1),
        stale_schemas={"shop/gone.v1.json": None, "shop/put.v1.json": "{}"},
        examples={"shop/gone.v1.json": {}},
    )
    assert problems(untidy, []) == [
        "schemas/shop/gone.v1.json: an orphan, no class says this",
        "schemas/shop/put.v1.json: not what the class says; run tollgate schemas",
        "examples/shop/put.v1.json: missing; every contract has a golden example",
        "examples/shop/gone.v1.json: an orphan, no class says this",
    ]


def test_a_next_version_may_be_read_before_it_is_released() -> None:
    assert problems(present(V1, V2, released=RELEASED), [past()]) == []


def test_a_next_version_is_not_sent_in_the_release_that_teaches_it() -> None:
    hasty = replace(V2, sent=True)
    released = release(present(V1, hasty, released=RELEASED))
    assert problems(present(V1, hasty, released=released), [past()]) == [
        "tollgate.shop.put.v2: sent before a release taught readers about it"
    ]


def test_a_next_version_is_sent_in_the_release_after_that() -> None:
    released = release(present(V1, V2, released=RELEASED))
    now = present(V1, replace(V2, sent=True), released=released)
    assert problems(now, [past(), past(released)]) == []


def test_a_release_adds_to_the_list_and_changes_nothing_in_it() -> None:
    marked = {V1.name: replace(RELEASED[V1.name], schema="sha256:of-the-first-release")}
    after = release(present(V1, V2, released=marked))
    assert after[V1.name] == marked[V1.name]
    assert after.keys() == {V1.name, V2.name}


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """A repository in which `git(...)` runs; the contracts of a project lie in `contracts/`."""
    (tmp_path / "contracts" / "schemas" / "shop").mkdir(parents=True)

    def run(*arguments: str) -> str:
        identity = ("-c", "user.name=A Developer", "-c", "user.email=developer@example.com")
        command = ("git", *identity, *arguments)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30)
        return done.stdout.decode()

    run("init", "--quiet", "--initial-branch=main")
    return run


def commit(
    git: Callable[..., str], home: Path, released: Mapping[str, Release], schema: Any
) -> None:
    records = {name: asdict(record) for name, record in released.items()}
    (home / "released.json").write_text(json.dumps(records))
    (home / "schemas" / "shop" / "put.v1.json").write_text(json.dumps(schema))
    git("add", ".")
    git("commit", "--quiet", "--message=contracts")


def test_history_is_every_committed_list_with_the_schemas_of_then(
    git: Callable[..., str], tmp_path: Path
) -> None:
    home = tmp_path / "contracts"
    commit(git, home, {}, {"type": "string"})
    commit(git, home, RELEASED, PUT)
    commit(git, home, {}, {"type": "integer"})

    history = read_history(home)

    assert [found.released for found in history] == [{}, RELEASED, {}]
    assert [found.schema(V1.path) for found in history] == [
        {"type": "string"},
        PUT,
        {"type": "integer"},
    ]
    assert history[0].schema("shop/never.v1.json") is None


def test_what_a_later_commit_hides_is_still_found(git: Callable[..., str], tmp_path: Path) -> None:
    home = tmp_path / "contracts"
    changed = replace(V1, schema=PUT | {"required": ["shelf"]})
    commit(git, home, RELEASED, PUT)
    commit(git, home, release(present(changed)), changed.schema)

    assert problems(present(changed, released=release(present(changed))), read_history(home)) == [
        "tollgate.shop.put.v1: released once, and released.json does not say so as it did",
        'tollgate.shop.put.v1: /required: ["count", "shelf"] → ["shelf"]',
    ]


def test_a_list_that_is_deleted_is_not_forgotten(git: Callable[..., str], tmp_path: Path) -> None:
    home = tmp_path / "contracts"
    commit(git, home, RELEASED, PUT)
    git("rm", "--quiet", "contracts/released.json")
    git("commit", "--quiet", "--message=start over")
    assert [found.released for found in read_history(home)] == [RELEASED, {}]


def test_a_release_is_written_beside_the_schemas_and_once_only(tmp_path: Path) -> None:
    home = tmp_path / "contracts"
    shutil.copytree(export.HOME / "schemas", home / "schemas")
    shutil.copytree(export.HOME / "examples", home / "examples")
    (home / "released.json").write_text("{}")

    names = contract_releases.release(home)

    assert names == sorted(contract.name for contract in export.contracts_of(REGISTRY))
    assert contract_releases.release(home) == []
    assert contract_releases.problems(home) == []


def test_git_that_fails_is_an_error_and_not_an_empty_history(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(ChildProcessError, match="not a git repository"):
        read_history(tmp_path)


def test_outside_of_git_there_is_no_history(tmp_path: Path) -> None:
    home = tmp_path / "contracts"
    shutil.copytree(export.HOME / "schemas", home / "schemas")
    assert read_history(home) == []
