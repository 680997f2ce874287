"""Real Git repositories of modules: the platform's, from the examples, and a partner's own."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples" / "modules"

BROKEN: Final = "half-finished"
"""A module whose author stopped in the middle of an edit; see `BROKEN_LINE`."""

BROKEN_MODULE_YAML: Final = """\
name: half-finished
title: Half-finished
description: What a repository looks like in the middle of somebody's work.
credit_cost: -5
"""
BROKEN_LINE: Final = 4

PARTNERS: Final = "status-page"
"""A partner's module; to apply it takes three seconds, and it says so in its log."""
PARTNERS_PRICE: Final = 25

_PARTNERS_MODULE: Final = {
    "module.yaml": f"""\
name: {PARTNERS}
title: Status page
description: A public page that says how your services are.
credit_cost: {PARTNERS_PRICE}
public_access: true
tags: [web]
""",
    "variables.tf": """\
variable "headline" {
  type        = string
  description = "What stands at the top of the page."
}
""",
    "main.tf": """\
resource "terraform_data" "page" {
  input = "<h1>${var.headline}</h1>"

  provisioner "local-exec" {
    command = "echo measuring; sleep 3; echo all is well"
  }
}
""",
    "outputs.tf": """\
output "page" {
  description = "The page."
  value       = terraform_data.page.output
}
""",
}


def platform_repository(folder: Path) -> str:
    """Return the address of a repository with the examples, and one broken module."""
    shutil.copytree(EXAMPLES, folder)
    _write(folder / BROKEN, {"module.yaml": BROKEN_MODULE_YAML, "main.tf": ""})
    return committed(folder)


def partners_repository(folder: Path) -> str:
    """Return the address of a partner's repository with one module."""
    _write(folder / PARTNERS, _PARTNERS_MODULE)
    return committed(folder)


def half_finished_repository(folder: Path) -> str:
    """Return the address of a repository with a good module and one that is refused."""
    _write(folder / BROKEN, {"module.yaml": BROKEN_MODULE_YAML, "main.tf": ""})
    return partners_repository(folder)


GATED: Final = "gated"
"""A module whose builds wait for a file `open` in a folder, and fail by a file `broken` there."""
GATED_PRICE: Final = 20

_WAIT: Final = "until [ -e {0}/open ]; do sleep 0.1; done; test ! -e {0}/broken"
_GATED_MODULE: Final = {
    "module.yaml": f"""\
name: {GATED}
title: Gated
description: Waits until it is let in.
credit_cost: {GATED_PRICE}
""",
    "variables.tf": """\
variable "gate" {
  type        = string
  description = "The folder."
}
variable "word" {
  type        = string
  description = "What it shall say."
}
""",
    "main.tf": f"""\
resource "terraform_data" "kept" {{
  input = var.word
}}
resource "terraform_data" "gated" {{
  input            = var.gate
  triggers_replace = [var.word]
  provisioner "local-exec" {{
    command = "{_WAIT.format("${var.gate}")}"
  }}
  provisioner "local-exec" {{
    when    = destroy
    command = "{_WAIT.format("${self.input}")}"
  }}
}}
output "word" {{
  description = "What it says."
  value       = terraform_data.kept.output
}}
""",
}


def gated_repository(folder: Path) -> str:
    """Return the address of a repository with the gated module."""
    _write(folder / GATED, _GATED_MODULE)
    return committed(folder)


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def commit(folder: Path) -> None:
    """Commit all that has changed in a repository."""
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message=Modules")


def committed(folder: Path) -> str:
    """Make a repository of a folder, and return its address."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder.as_uri()


def _git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", *words],
        cwd=folder,
        check=True,
        timeout=30,
    )
