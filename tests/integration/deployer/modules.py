"""Terraform modules that tests write."""

from pathlib import Path

from contracts.catalog.v1 import Variable
from tests.support.tools import program

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "modules"
SIGNS = "signs"
"""A folder that modules under test may read, wherever they run."""
TOKEN = Variable(name="deploy_token", type="string", description="", required=False, sensitive=True)
DOMAIN = Variable(name="domain", type="string", description="", required=True)


def module(folder: Path, main: str) -> Path:
    """Write a module of one file."""
    folder.mkdir()
    (folder / "main.tf").write_text(main)
    return folder


def running(folder: Path, command: str, more: str = "") -> Path:
    """Write a module whose one resource runs a command."""
    return module(
        folder,
        f"""
        {more}
        resource "terraform_data" "running" {{
          provisioner "local-exec" {{
            command = "{command}"
          }}
        }}
        output "made" {{ value = terraform_data.running.id }}
        """,
    )


def terraform_without_a_room(folder: Path, first: str = ":") -> Path:
    """Write what runs Terraform, and no room or user of a build's own is found to work with.

    `first` is done before it.
    """
    wrapper = folder / "terraform"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exit 3\n{first}\nexec {program("terraform")} "$@"\n'
    )
    wrapper.chmod(0o755)
    return wrapper
