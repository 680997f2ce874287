"""Terraform or OpenTofu: where it is, how it is called, and what it says. Nobody else knows.

It never gets our environment, only what is listed here.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PROGRAMS: Final = ("terraform", "tofu")
BACKEND_FILE: Final = "tollgate_backend_override.tf.json"
VARIABLES_FILE: Final = "tollgate.auto.tfvars.json"
CLI_CONFIG_FILE: Final = "cli.tfrc"
RETRIES_MAX: Final = 60
RETRY_WAIT_SECONDS: Final = (1, 5)
LOCK_SECONDS_MAX: Final = 60


def find_terraform(named: str | None) -> str | None:
    """Return the program's absolute path: the one that is named, or the first on the PATH."""
    for name in [named] if named else PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return str(Path(path).resolve())
    return None


def environment(*, home: Path, state_url: str, user: str, token: str) -> dict[str, str]:
    """Return all that Terraform is told from outside: its home, and where its state is kept."""
    config = home / CLI_CONFIG_FILE
    config.touch(mode=0o600)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TF_CLI_CONFIG_FILE": str(config),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_HTTP_ADDRESS": state_url,
        "TF_HTTP_LOCK_ADDRESS": state_url,
        "TF_HTTP_UNLOCK_ADDRESS": state_url,
        "TF_HTTP_LOCK_METHOD": "LOCK",
        "TF_HTTP_UNLOCK_METHOD": "UNLOCK",
        "TF_HTTP_USERNAME": user,
        "TF_HTTP_PASSWORD": token,
        "TF_HTTP_RETRY_MAX": str(RETRIES_MAX),
        "TF_HTTP_RETRY_WAIT_MIN": str(RETRY_WAIT_SECONDS[0]),
        "TF_HTTP_RETRY_WAIT_MAX": str(RETRY_WAIT_SECONDS[1]),
    }


def prepare(folder: Path, variables: Mapping[str, Any]) -> None:
    """Write what goes beside the module: its variables, and that its state is kept by us."""
    _write(folder / BACKEND_FILE, {"terraform": {"backend": {"http": {}}}})
    _write(folder / VARIABLES_FILE, variables)


def _write(path: Path, content: Any) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))


def init_words(program: str) -> list[str]:
    """Return the command that prepares the module's folder."""
    return [program, "init", "-input=false", "-no-color", "-reconfigure"]


def apply_words(program: str) -> list[str]:
    """Return the command that makes the resources, telling what it does as JSON lines."""
    lock = f"-lock-timeout={LOCK_SECONDS_MAX}s"
    return [program, "apply", "-input=false", "-auto-approve", "-json", lock]


def output_words(program: str) -> list[str]:
    """Return the command that prints the outputs as JSON."""
    return [program, "output", "-json", "-no-color"]


def readable(line: str) -> tuple[str, str | None]:
    """Return a line of `-json` output as people read it, and the error that it tells, if any.

    What is no JSON of Terraform's is returned as it is: modules print what they like.
    """
    try:
        message = json.loads(line)
    except ValueError:
        return line, None
    if not isinstance(message, dict) or "@message" not in message:
        return line, None
    text = str(message["@message"])
    diagnostic = message.get("diagnostic")
    if not isinstance(diagnostic, dict):
        return text, None
    told = _diagnostic(diagnostic)
    return told, told if diagnostic.get("severity") == "error" else None


def _diagnostic(diagnostic: Mapping[str, Any]) -> str:
    severity = "Error" if diagnostic.get("severity") == "error" else "Warning"
    parts = [f"{severity}: {diagnostic.get('summary', '')}"]
    place = diagnostic.get("range")
    if isinstance(place, dict) and isinstance(place.get("start"), dict):
        parts.append(f"  in {place.get('filename')}, line {place['start'].get('line')}")
    if diagnostic.get("detail"):
        parts.append(str(diagnostic["detail"]))
    return "\n".join(parts)


def resources_in(state: bytes) -> int:
    """Return how many resources a state manages; `ValueError` where it is no state."""
    content = json.loads(state)
    if not isinstance(content, dict) or not isinstance(content.get("resources", []), list):
        raise ValueError("this is no Terraform state")  # noqa: TRY004 - of the content, not a type
    return sum(
        1
        for resource in content.get("resources", [])
        if isinstance(resource, dict) and resource.get("mode") == "managed"
    )
