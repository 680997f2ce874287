import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from services.deployer import terraform
from services.deployer.terraform import (
    errors_in_text,
    find_terraform,
    outputs_in,
    printed_by,
    progress_in,
    read_state,
    readable,
    resources_in,
    sensitive_in,
)
from services.deployer.terraform_errors import Told


def line(message: str, **more: Any) -> str:
    return json.dumps({"@level": "info", "@message": message, "type": "log", **more})


ERROR = {
    "severity": "error",
    "summary": "No quota",
    "detail": "Ask for more.",
    "range": {"filename": "main.tf", "start": {"line": 3, "column": 1, "byte": 4}},
}


@pytest.mark.parametrize(
    ("printed", "shown", "error"),
    [
        (line("Plan: 1 to add"), "Plan: 1 to add", None),
        ("plain text", "plain text", None),
        ("", "", None),
        ("{ not json", "{ not json", None),
        ('{"no": "message"}', '{"no": "message"}', None),
        ("[1, 2]", "[1, 2]", None),
        ("7", "7", None),
        ("9" * 5_000, "9" * 5_000, None),
        (line("Error: No quota", diagnostic=ERROR),
         "Error: No quota\n  in main.tf, line 3\nAsk for more.",
         Told("No quota", "Ask for more.", "main.tf, line 3")),
        (line("Warning: old", diagnostic={"severity": "warning", "summary": "old"}),
         "Warning: old", None),
        (line("Error: x", diagnostic={"severity": "error", "summary": "x", "range": None}),
         "Error: x", Told("x")),
        (line("odd", diagnostic="text"), "odd", None),
        (json.dumps({"@message": 5}), "5", None),
    ],
)  # fmt: skip
def test_output_is_shown_as_people_read_it(printed: str, shown: str, error: Told | None) -> None:
    assert readable(printed) == (shown, error)


def test_a_line_that_is_nested_too_deep_to_be_read_is_shown_as_it_is() -> None:
    deep = "[" * 200_000
    assert readable(deep) == (deep, None)


@pytest.mark.parametrize(
    ("printed", "planned", "done"),
    [
        ('{"type":"change_summary","changes":{"add":2,"change":1,"operation":"plan"}}', 3, 0),
        ('{"@message":"x: Creation complete","type":"apply_complete"}', None, 1),
        ('{"type":"change_summary","changes":{"add":2,"operation":"apply"}}', None, 0),
        ('{"type":"change_summary","changes":{"add":"2","operation":"plan"}}', 0, 0),
        ('{"type":"change_summary","changes":7}', None, 0),
        ('{"type":"provision_progress","@message":"\\"type\\":\\"apply_complete\\""}', None, 0),
        ('printed by a module: "type":"apply_complete"', None, 0),
        ("Plan: 1 to add", None, 0),
    ],
)  # fmt: skip
def test_progress_is_what_terraform_says_of_it(
    printed: str, planned: int | None, done: int
) -> None:
    assert progress_in(printed) == (planned, done)


INIT = """
╷
│ Error: Terraform encountered problems during initialisation
│
│ The configuration could not be loaded.
╵
╷
│ Error: Invalid block definition
│
│   on main.tf line 1:
╵
"""


WRAPPED = """
Error: One that is
wrapped

  on a.tf line 7, in variable "x":
   7: type

What is told
of it.

More.
Error: Two
"""


@pytest.mark.parametrize(
    ("printed", "errors"),
    [
        ("", []),
        ("Initializing the backend...\nDone", []),
        (INIT, [Told("Invalid block definition", "", "main.tf, line 1")]),
        ("│ Error: OpenTofu encountered problems\n│ ", [Told("OpenTofu encountered problems")]),
        (WRAPPED,
         [Told("One that is wrapped", "What is told of it.\nMore.", "a.tf, line 7"), Told("Two")]),
    ],
)  # fmt: skip
def test_the_errors_of_plain_output_are_those_that_tell_something(
    printed: str, errors: list[Told]
) -> None:
    assert errors_in_text(printed.splitlines()) == errors


def state(*resources: Any) -> bytes:
    return json.dumps({"version": 4, "resources": list(resources)}).encode()


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (state(), 0),
        (b"{}", 0),
        (state({"mode": "managed", "instances": [{}]}), 1),
        (state({"mode": "managed", "instances": [{}]}, {"mode": "managed"}), 2),
        (state({"mode": "data", "instances": [{}]}), 0),
        (state({"mode": "managed", "instances": []}), 0),
        (state("odd", None), 0),
    ],
)
def test_a_state_owns_what_it_manages(content: bytes, count: int) -> None:
    assert resources_in(content) == count


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"[]", b"7", b"null", b'{"resources": 1}', b"\xff\xfe\x00", b"[" * 200_000],
)
def test_what_is_no_state_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        resources_in(content)


class TestStateInAFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "errored.tfstate"

    def test_it_is_read(self, file: Path) -> None:
        file.write_bytes(state())
        assert read_state(file.parent, file.name) == state()

    def test_there_may_be_none(self, file: Path) -> None:
        assert read_state(file.parent, file.name) is None
        assert read_state(file.parent, "nowhere", file.name) is None

    def test_what_is_no_state_is_left(self, file: Path) -> None:
        file.write_text("rubbish")
        assert read_state(file.parent, file.name) is None

    def test_a_link_to_somebody_elses_file_is_not_followed(self, file: Path) -> None:
        secret = file.with_name("secret")
        secret.write_bytes(state())
        file.symlink_to(secret)
        assert read_state(file.parent, file.name) is None

    def test_a_link_to_somebody_elses_folder_is_not_followed_either(self, file: Path) -> None:
        other, own = file.with_name("other"), file.with_name("own")
        other.mkdir()
        (other / file.name).write_bytes(state())
        own.symlink_to(other)
        assert read_state(file.parent, "other", file.name) == state()
        assert read_state(file.parent, "own", file.name) is None

    def test_a_pipe_that_nobody_writes_to_holds_nobody_up(self, file: Path) -> None:
        os.mkfifo(file)
        assert read_state(file.parent, file.name) is None

    def test_a_file_that_is_too_large_is_left(self, file: Path) -> None:
        with file.open("wb") as opened:
            opened.truncate(terraform.STATE_BYTES_MAX + 1)
        assert read_state(file.parent, file.name) is None


def test_terraform_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOLLGATE_MASTER_KEY", "AWS_SECRET_ACCESS_KEY", "TF_VAR_x", "TF_LOG"):
        monkeypatch.setenv(name, "ours")
    told = terraform.environment(home=Path("/h"), state_url="u", token="t")
    assert "ours" not in told.values()
    assert told["HOME"] == "/h"
    assert told["TF_HTTP_PASSWORD"] == "t"


def test_what_the_module_put_in_the_place_of_our_files_is_replaced(tmp_path: Path) -> None:
    home, folder, outside = tmp_path / "home", tmp_path / "module", tmp_path / "outside"
    home.mkdir()
    folder.mkdir()
    outside.write_text("somebody else's")
    for name in (terraform.VARIABLES_FILE, terraform.BACKEND_FILE):
        (folder / name).symlink_to(outside)
    terraform.prepare(home, folder, {"token": "swordfish"}, "")
    assert outside.read_text() == "somebody else's"
    variables = folder / terraform.VARIABLES_FILE
    assert json.loads(variables.read_text()) == {"token": "swordfish"}
    assert stat.S_IMODE(variables.stat().st_mode) == 0o600


class TestFinding:
    @pytest.fixture
    def programs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    def put(self, folder: Path, name: str) -> str:
        program = folder / name
        program.touch(mode=0o755)
        return str(program)

    def test_terraform_is_before_tofu(self, programs: Path) -> None:
        tofu = self.put(programs, "tofu")
        assert find_terraform(None) == tofu
        found = self.put(programs, "terraform")
        assert find_terraform(None) == found

    def test_what_is_named_is_taken_and_nothing_in_its_place(self, programs: Path) -> None:
        self.put(programs, "terraform")
        assert find_terraform("tofu") is None
        assert find_terraform(self.put(programs, "mine")) == str(programs / "mine")

    def test_there_may_be_none(self, programs: Path) -> None:
        assert find_terraform(None) is None


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (
            {"a": {"value": ["x"], "type": ["list", "string"], "sensitive": True}},
            {"a": {"value": ["x"], "type": ["list", "string"], "sensitive": True}},
        ),
        (
            {"a": {"value": "x", "type": "string"}, "b": 7},
            {"a": {"value": "x", "type": "string", "sensitive": False}},
        ),
        ({"a": {"sensitive": 1}}, {"a": {"value": None, "type": None, "sensitive": False}}),
        ([1], {}),
        (None, {}),
    ],
)
def test_the_outputs_of_a_state_are_told_as_terraform_tells_them(
    outputs: Any, told: dict[str, Any]
) -> None:
    assert outputs_in(json.dumps({"outputs": outputs}).encode()) == told


@pytest.mark.parametrize("state", [b"{", b"", b"[]", b"null", b"{}", b"[" * 100_000, b'"\\ud800"'])
def test_what_is_no_state_has_no_outputs(state: bytes) -> None:
    assert outputs_in(state) == {}


TOLD = {"a": {"sensitive": True, "action": "update"}, "b": {"sensitive": False}, "c": 7}


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        (json.dumps({"type": "outputs", "outputs": TOLD}, separators=(",", ":")), ["a"]),
        ('{"type":"outputs","outputs":[1]}', []),
        ('{"type":"outputs"', []),
        ('{"type":"version"}', []),
        ("text", []),
    ],
)
def test_a_plan_says_which_outputs_are_to_be_sensitive(printed: str, names: list[str]) -> None:
    assert sensitive_in(printed) == names


PROVISIONED = {
    "type": "provision_progress",
    "hook": {"resource": {"addr": "terraform_data.x"}, "output": "hello"},
}


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        (PROVISIONED | {"@message": "x: hello"}, ("terraform_data.x", "x: ", "hello")),
        (PROVISIONED | {"@message": "x: other"}, None),
        (PROVISIONED | {"@message": "x: hello", "hook": {}}, None),
        (PROVISIONED | {"@message": "x: hello", "type": "log"}, None),
        ("provision_progress", None),
    ],
)
def test_what_a_provisioner_prints_is_known_by_its_source(message: Any, printed: Any) -> None:
    assert printed_by(json.dumps(message, separators=(",", ":"))) == printed
