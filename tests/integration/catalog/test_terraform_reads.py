"""What we take for valid HCL, Terraform does, and what we refuse, it refuses."""

import os
import subprocess

import pytest

from tests.support.tools import program
from tests.unit.catalog.hcl_corpus import INVALID, VALID


def terraform_reads(text: str) -> bool:
    done = subprocess.run(
        (program("terraform"), "fmt", "-"),
        input=text.encode(),
        env={"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_terraform_reads_what_we_read(text: str) -> None:
    assert terraform_reads(text)


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_terraform_refuses_what_we_refuse(text: str) -> None:
    assert not terraform_reads(text)
