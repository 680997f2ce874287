"""Terraform or OpenTofu: where it is, how it is called, and what it says. Nobody else knows.

It never gets our environment, only what is listed here.
"""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from services.deployer.terraform_errors import Told, told_by

PROGRAMS: Final = ("terraform", "tofu")
BACKEND_FILE: Final = "tollgate_backend_override.tf.json"
VARIABLES_FILE: Final = "tollgate.auto.tfvars.json"
CLI_CONFIG_FILE: Final = "cli.tfrc"
NOT_FOUND: Final = (
    "neither terraform nor tofu is on the deployer's PATH; install one, or name it in "
    "TOLLGATE_TERRAFORM"
)
RETRIES_MAX: Final = 1
"""The runner, between Terraform and the deployer, is who waits and tries again."""
LOCK_SECONDS_MAX: Final = 60
UNSAVED_STATE_FILE: Final = "errored.tfstate"
"""Where Terraform writes the state that it can hand over to nobody, in the module's folder."""
STATE_BYTES_MAX: Final = 64 * 1024**2
PLANNED_MAX: Final = 1_000_000
_ERRORS_TEXT_LINES_MAX: Final = 20
_FRAME: Final = "│╷╵ "
_BEGIN_ERRORS: Final = ("Error: ", "fatal error: ", "panic: ")
_PLACE: Final = re.compile(r"on (\S+) line (\d+)")
_SOURCE: Final = re.compile(r"\d+: ")
_TELLS_PROGRESS: Final = ('"type":"change_summary"', '"type":"apply_complete"')
_TELLS_OUTPUT: Final = '"type":"provision_progress"'
_TELLS_OUTPUTS: Final = '"type":"outputs"'
_TELLS_NOTHING: Final = ("Terraform encountered problems", "OpenTofu encountered problems")


def find_terraform(named: str | None) -> str | None:
    """Return the program's absolute path: the one that is named, or the first on the PATH."""
    for name in [named] if named else PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return str(Path(path).absolute())
    return None


def environment(
    *, home: Path, state_url: str, token: str, proxy: str | None = None
) -> dict[str, str]:
    """Return all that Terraform is told from outside: its home, where its state is, the way out.

    Its own configuration is a file there, which `prepare` has written.
    """
    way_out = (
        {}
        if proxy is None
        else {
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "http_proxy": proxy,
            "https_proxy": proxy,
            "no_proxy": "127.0.0.1,localhost",
        }
    )
    return way_out | {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TF_CLI_CONFIG_FILE": str(home / CLI_CONFIG_FILE),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
        "TF_HTTP_ADDRESS": state_url,
        "TF_HTTP_LOCK_ADDRESS": state_url,
        "TF_HTTP_UNLOCK_ADDRESS": state_url,
        "TF_HTTP_LOCK_METHOD": "LOCK",
        "TF_HTTP_UNLOCK_METHOD": "UNLOCK",
        "TF_HTTP_USERNAME": "build",
        "TF_HTTP_PASSWORD": token,
        "TF_HTTP_RETRY_MAX": str(RETRIES_MAX),
    }


def is_address(mirror: str) -> bool:
    """Return whether a mirror of providers is one on the network, and not a folder."""
    return mirror.startswith("https://")


def cli_config(mirror: str | None, *, direct: bool) -> str:
    """Return Terraform's own configuration: where providers come from.

    A mirror in a folder is complete for the providers it has: they come from nowhere else, so that
    they need no network. There is no cache that builds share and write, since Terraform's is not
    safe for that; a folder in a mirror's unpacked form is linked to, not copied, and is as good.
    """
    if mirror is None:
        return ""
    if is_address(mirror):
        kind, place, excluded = "network_mirror", {"url": mirror}, []
    else:
        kind, place = "filesystem_mirror", {"path": mirror}
        excluded = [
            f"{folder.parent.parent.name}/{folder.parent.name}/{folder.name}"
            for folder in sorted(Path(mirror).glob("*.*/*/*"))
            if folder.is_dir()
        ]
    lines = ["provider_installation {", f"  {kind} {{"]
    lines += [f"    {name} = {_quoted(value)}" for name, value in place.items()]
    lines.append("  }")
    if direct:
        exclusion = ", ".join(map(_quoted, excluded))
        lines += ["  direct {", f"    exclude = [{exclusion}]", "  }"]
    return "\n".join((*lines, "}", ""))


def _quoted(text: str) -> str:
    """Return a text as HCL writes it, nothing in it a template."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def prepare(home: Path, folder: Path, variables: Mapping[str, Any], config: str) -> None:
    """Write what goes beside the module: its variables, and that its state is kept by us."""
    _write(home / CLI_CONFIG_FILE, config)
    _write(folder / BACKEND_FILE, json.dumps({"terraform": {"backend": {"http": {}}}}))
    # One to a line, so that what Terraform quotes of it names the variable.
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in variables.items())
    _write(folder / VARIABLES_FILE, "{\n" + ",\n".join(lines) + "\n}\n")


def _write(path: Path, content: str) -> None:
    """Write a file that nobody else may read, whatever the module put in its place."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(content)


def read_state(folder: Path, *path: str) -> bytes | None:
    """Return the state in a file below a folder of ours, or nothing where there is none.

    What is below it may be the module's to write in: no link is followed on the way, which could
    lead into another build's folder, and only a plain file of a bounded size is read.
    """
    try:
        descriptor = _open_below(folder, path)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > STATE_BYTES_MAX:
            return None
        state = file.read(STATE_BYTES_MAX + 1)
    try:
        resources_in(state)
    except ValueError:
        return None
    return state


def _open_below(folder: Path, path: Sequence[str]) -> int:
    """Return the descriptor of a file; `OSError` where a link is on the way to it, or nothing."""
    *folders, name = path
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        for part in folders:
            above, at = at, os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)


def init_words(program: str) -> list[str]:
    """Return the command that prepares the module's folder."""
    return [program, "init", "-input=false", "-no-color", "-reconfigure"]


def apply_words(program: str) -> list[str]:
    """Return the command that makes the resources, telling what it does as JSON lines."""
    lock = f"-lock-timeout={LOCK_SECONDS_MAX}s"
    return [program, "apply", "-input=false", "-auto-approve", "-json", lock]


def destroy_words(program: str) -> list[str]:
    """Return the command that destroys what is in the state, telling it in the same way."""
    lock = f"-lock-timeout={LOCK_SECONDS_MAX}s"
    return [program, "destroy", "-input=false", "-auto-approve", "-json", lock]


def readable(line: str) -> tuple[str, Told | None]:
    """Return a line of `-json` output as people read it, and the error that it tells, if any.

    What is no JSON of Terraform's is returned as it is: modules print what they like.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return line, None
    if not isinstance(message, dict) or "@message" not in message:
        return line, None
    text = str(message["@message"])
    diagnostic = message.get("diagnostic")
    if not isinstance(diagnostic, dict):
        return text, None
    return _diagnostic(diagnostic), told_by(diagnostic)


def printed_by(line: str) -> tuple[str, str, str] | None:
    """Return who printed something by a provisioner, what we show before it, and what it was.

    Nothing where a line of `-json` output is another one.
    """
    if _TELLS_OUTPUT not in line:
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match message:
        case {
            "type": "provision_progress",
            "@message": str() as text,
            "hook": {"resource": {"addr": str() as address}, "output": str() as output},
        } if text.endswith(output):
            return address, text.removesuffix(output), output
        case _:
            return None


def outputs_in(state: bytes) -> dict[str, dict[str, Any]]:
    """Return a state's outputs as `terraform output -json` tells them; none where it is no state.

    Each has `value`, `type`, and `sensitive`, which is true or false.
    """
    try:
        content = msgspec.json.decode(state)
    except (ValueError, RecursionError):
        return {}
    outputs = content.get("outputs") if isinstance(content, dict) else None
    return {
        name: {
            "sensitive": _is_sensitive(output),
            "type": output.get("type"),
            "value": output.get("value"),
        }
        for name, output in (outputs.items() if isinstance(outputs, dict) else ())
        if isinstance(output, dict)
    }


def sensitive_in(line: str) -> list[str]:
    """Return the outputs that a line of `-json` output says are to be sensitive."""
    if _TELLS_OUTPUTS not in line:
        return []
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return []
    match message:
        case {"type": "outputs", "outputs": dict() as outputs}:
            return [name for name, output in outputs.items() if _is_sensitive(output)]
        case _:
            return []


def _is_sensitive(output: object) -> bool:
    return isinstance(output, dict) and output.get("sensitive") is True


def progress_in(line: str) -> tuple[int | None, int]:
    """Return what a line of `-json` output says of progress: resources planned, and done by it.

    A resource that is replaced counts twice, as Terraform's own summary does.
    """
    if not any(mark in line for mark in _TELLS_PROGRESS):
        return None, 0
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None, 0
    match message:
        case {"type": "apply_complete"}:
            return None, 1
        case {"type": "change_summary", "changes": {"operation": "plan"} as changes}:
            counts = (changes.get(kind, 0) for kind in ("add", "change", "remove", "import"))
            planned = sum(count for count in counts if isinstance(count, int) and count > 0)
            return min(planned, PLANNED_MAX), 0
        case _:
            return None, 0


def begins_error(line: str) -> bool:
    """Return whether a line of plain output begins an error, Terraform's own or one of Go's."""
    return line.lstrip(_FRAME).startswith(_BEGIN_ERRORS)


def errors_in_text(lines: Iterable[str]) -> list[Told]:
    """Return the errors that plain output tells, those first that tell something.

    `init` prints text, and begins with a summary that names no cause.
    """
    found: list[list[str]] = []
    for line in lines:
        plain = line.lstrip(_FRAME).rstrip()
        if begins_error(plain):
            found.append([plain.removeprefix("Error: ")])
        elif found and len(found[-1]) < _ERRORS_TEXT_LINES_MAX:
            found[-1].append(plain)
    told = [_told_in_text(*error) for error in found]
    telling = [error for error in told if not error.summary.startswith(_TELLS_NOTHING)]
    return telling or told


def _told_in_text(*lines: str) -> Told:
    """Return an error whose lines were wrapped, and had the place in the source among them."""
    paragraphs: list[list[str]] = [[]]
    place = ""
    for line in lines:
        if (where := _PLACE.match(line)) and not place:
            place = f"{where.group(1)}, line {where.group(2)}"
        elif not line:
            paragraphs.append([])
        elif not _SOURCE.match(line):
            paragraphs[-1].append(line)
    summary, *details = (" ".join(paragraph) for paragraph in paragraphs)
    return Told(summary, "\n".join(detail for detail in details if detail), place)


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
    try:
        content = json.loads(state)
    except RecursionError as error:
        raise ValueError("this is nested too deep for a state") from error
    resources = content.get("resources", []) if isinstance(content, dict) else None
    if not isinstance(resources, list):
        raise ValueError("this is no Terraform state")  # noqa: TRY004 - of the content, not a type
    return sum(
        1
        for resource in resources
        if isinstance(resource, dict)
        and resource.get("mode") == "managed"
        and resource.get("instances") != []
    )
