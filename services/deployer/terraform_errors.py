"""What went wrong in a run of Terraform, in plain words: the error that matters, and whose it is.

Terraform reports errors in the order in which it meets them, and the first is not always the one
that matters: a state that could not be kept matters more than all others, and what was only
cancelled because of another error matters least. A name that is concerned is named first.

What a module's own commands and conditions say is quoted, and never believed: an error with a place
in the module's source is no fault of the platform's, whatever its text is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

ERRORS_MAX: Final = 100
"""Of more errors than these only the number is told."""
DISK_IS_FULL: Final = "The disk that builds run on is full."
NAME_LENGTH_MAX: Final = 200
PUBLIC_REGISTRIES: Final = ("registry.terraform.io", "registry.opentofu.org")
_INVALID_VARIABLE: Final = {
    "Invalid value for input variable",
    "Invalid value for variable",
    "No value for required variable",
}
_DECLARED: Final = re.compile(r'^\s*variable\s+"([^"]+)"')
_GIVEN: Final = re.compile(r'^\s*"([^"]+)":')
_OF_ONE: Final = re.compile(r"\bvar\.([^\s.:\[]+)")
_USED: Final = re.compile(r"^var\.([^.\[]+)")
_NOT_SET: Final = re.compile(r'variable "([^"]+)" is not set')
_UNSUITABLE: Final = re.compile(
    r"^(Unsuitable value for|The given value is not suitable for) var\.\S+ [^:]*"
    r"(:[0-9,-]+[^:]*)?: (?=\S)"
)
_CHECKED_BY: Final = re.compile(r"\n+This was checked by the validation rule at [^\n]*$")
_STATE: Final = re.compile(
    r"(acquiring|releasing) the state lock|(sav|persist|load|refresh|read|upload)\w* (the )?"
    r"(root module )?state|state snapshot|Failed to get existing workspaces|HTTP remote state",
    re.IGNORECASE,
)
_DISK: Final = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_MEMORY: Final = re.compile(r"cannot allocate memory|out of memory", re.IGNORECASE)
_ENDED: Final = re.compile(r".*'.*': (exit status \d+|signal: [A-Za-z ]+)", re.DOTALL)
_PROVIDERS: Final = re.compile(
    r"query available provider packages|install provider|registry\.\S+ does not have a provider|"
    r"provider registry|registry service is unreachable|accessing remote module registry",
    re.IGNORECASE,
)
_UNREACHABLE: Final = re.compile(
    r"could not connect|dial tcp|unreachable|timeout|timed out|connection re(fused|set)|"
    r"no such host|bad gateway|nobody answers|there is no address|TLS handshake|EOF|\b50[0-9]\b",
    re.IGNORECASE,
)
_CONSEQUENCE: Final = re.compile(
    r"^(execution halted|operation cancel+ed|interrupted|plugin did not respond|"
    r"request cancel+ed|context cancel+ed)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Told:
    """One error as Terraform tells it. `variable` and `address` name what it concerns, if known."""

    summary: str
    detail: str = ""
    place: str = ""
    address: str = ""
    variable: str = ""


@dataclass(frozen=True)
class Explained:
    """Why a step failed; `platform_fault` where the module is not to blame."""

    code: str
    message: str
    platform_fault: bool


def told_by(diagnostic: Mapping[str, Any]) -> Told | None:
    """Return the error that a diagnostic of `-json` is, nothing where it is only a warning."""
    if diagnostic.get("severity") != "error":
        return None
    where, snippet = diagnostic.get("range"), diagnostic.get("snippet")
    start = where.get("start") if isinstance(where, dict) else None
    place = ""
    if isinstance(where, dict) and isinstance(start, dict):
        place = f"{where.get('filename')}, line {start.get('line')}"
    summary, detail = (str(diagnostic.get(name) or "").strip() for name in ("summary", "detail"))
    return Told(
        summary,
        detail,
        place,
        str(diagnostic.get("address") or "")[:NAME_LENGTH_MAX],
        _variable(summary, detail, snippet if isinstance(snippet, dict) else {}),
    )


def explain(step: str, errors: Sequence[Told]) -> Explained | None:
    """Return what a step failed for, told by the error that matters; nothing where none is told."""
    if not errors:
        return None
    error = min(errors[:ERRORS_MAX], key=_rank)
    explained = _explain(step, error)
    more = len(errors) - 1
    if more == 0:
        return explained
    rest = "1 more error is in the log" if more == 1 else f"{more} more errors are in the log"
    return replace(explained, message=f"{explained.message}\n\n{rest}.")


def _rank(error: Told) -> int:
    if _is_of_state(error):
        return 0
    if error.summary in _INVALID_VARIABLE:
        return 1
    return 3 if _CONSEQUENCE.match(error.summary) else 2


def _explain(step: str, error: Told) -> Explained:
    text = f"{error.summary}\n{error.detail}"
    said = _joined(error)
    if _is_of_state(error):
        return Explained(
            "STATE_REFUSED", f"The state could not be read or kept.\n{said}", platform_fault=True
        )
    if error.summary in _INVALID_VARIABLE and error.variable:
        return Explained("VARIABLE_INVALID", _of_a_variable(error), platform_fault=False)
    if error.summary.endswith("provisioner error"):
        return _of_a_command(error, said)
    if _is_terraforms_own(error) and _DISK.search(text):
        return Explained("DISK_FULL", f"{DISK_IS_FULL}\n{said}", platform_fault=True)
    if _MEMORY.search(text):
        what = f"The build needed more memory than a build may use.\n{said}"
        return Explained("MEMORY_EXCEEDED", what, platform_fault=False)
    if step == "init" and _PROVIDERS.search(text):
        return _of_a_provider(error, said)
    concerned = f"This concerns the variable {error.variable!r}.\n" if error.variable else ""
    return Explained(f"{step.upper()}_FAILED", f"{concerned}{said}", platform_fault=False)


def _is_of_state(error: Told) -> bool:
    text = f"{error.summary}\n{error.detail}"
    return _is_terraforms_own(error) and _STATE.search(text) is not None


def _is_terraforms_own(error: Told) -> bool:
    """Return whether an error is about nothing in the module, whose text anybody may have made."""
    return not error.address and not error.place


def _of_a_variable(error: Told) -> str:
    if error.summary.startswith("No value"):
        return f"The variable {error.variable!r} needs a value, and has none."
    why = _UNSUITABLE.sub("", _CHECKED_BY.sub("", error.detail)).strip()
    return f"The variable {error.variable!r} has a value that the module does not take: {why}"


def _of_a_command(error: Told, said: str) -> Explained:
    """Return how a command of the module's own ended; a shell tells a signal as 128 and more."""
    what = f"A command of the module's own failed{_in(error.address)}.\n"
    found = _ENDED.search(error.detail)
    ended = found.group(1) if found else ""
    if ended in {"signal: file size limit exceeded", "exit status 153"}:
        what += "It wrote a file that is larger than a build's may be.\n"
        return Explained("LIMIT_EXCEEDED", f"{what}{said}", platform_fault=False)
    if ended in {"signal: CPU time limit exceeded", "exit status 152"}:
        what += "It used more time of a processor than a build may.\n"
        return Explained("LIMIT_EXCEEDED", f"{what}{said}", platform_fault=False)
    if ended in {"signal: killed", "exit status 137"}:
        what += (
            "It was killed: by the module itself, or by the kernel, which ends what takes more "
            "memory than there is.\n"
        )
    return Explained("PROVISIONER_FAILED", f"{what}{said}", platform_fault=False)


def _of_a_provider(error: Told, said: str) -> Explained:
    """Return whether a registry could not be reached, or has not what the module asks for.

    That one of the registries everybody uses is away is no fault of a module that uses it; a
    module that names another one answers for that.
    """
    text = " ".join(f"{error.summary} {error.detail}".split())
    if _UNREACHABLE.search(text) is None:
        what = f"A provider or module that is asked for is not there.\n{said}"
        return Explained("PROVIDER_MISSING", what, platform_fault=False)
    public = any(name in text for name in PUBLIC_REGISTRIES)
    what = f"A registry of providers or modules could not be reached.\n{said}"
    return Explained("REGISTRY_UNREACHABLE", what, platform_fault=public)


def _joined(error: Told) -> str:
    place = f"in {error.place}{_in(error.address, ', ')}" if error.place else error.address
    return "\n".join(part for part in (error.summary, place, error.detail) if part)


def _in(address: str, before: str = " in ") -> str:
    return f"{before}{address}" if address else ""


def _variable(summary: str, detail: str, snippet: Mapping[str, Any]) -> str:
    """Return the variable that an error is about: declared, not set, or the only one used there."""
    if summary in _INVALID_VARIABLE:
        code = str(snippet.get("code") or "")
        found = (
            _DECLARED.match(code)
            or _NOT_SET.search(detail)
            or _GIVEN.match(code)
            or _OF_ONE.search(detail)
        )
        return found.group(1)[:NAME_LENGTH_MAX] if found else ""
    values = snippet.get("values")
    used = {
        found.group(1)
        for value in (values if isinstance(values, list) else ())
        if isinstance(value, dict) and (found := _USED.match(str(value.get("traversal"))))
    }
    return used.pop()[:NAME_LENGTH_MAX] if len(used) == 1 else ""
