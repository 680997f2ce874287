# noqa: INP001 - a script beside what it tells of
"""Adds to a CycloneDX document of the Python packages what else the image is made of.

The document comes on standard input and leaves on standard output; `make sbom` keeps it. Added are
the scripts that the pages load, of package-lock.json, and the images that the Dockerfile names: the
base, whose Debian packages its own makers list, and where Terraform is from.
"""

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "services" / "gateway" / "web" / "package-lock.json"
# What the scripts are fetched with is in a stage of its own, and in no image that runs.
OF_THE_IMAGE: Final = ("BASE_IMAGE", "TERRAFORM_IMAGE")


def scripts() -> Iterator[dict[str, Any]]:
    """Give a component for each npm package."""
    for path, package in json.loads(LOCK.read_text())["packages"].items():
        name = path.removeprefix("node_modules/")
        if name:
            algorithm, digest = package["integrity"].split("-", 1)
            purl = f"pkg:npm/{name}@{package['version']}"
            yield {
                "bom-ref": purl,
                "hashes": [
                    {
                        "alg": algorithm.replace("sha", "SHA-"),
                        "content": base64.b64decode(digest).hex(),
                    }
                ],
                "licenses": [{"license": {"id": package["license"]}}],
                "name": name,
                "purl": purl,
                "type": "library",
                "version": package["version"],
            }


def images() -> Iterator[dict[str, Any]]:
    """Give a component for each image, by its default name."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    for argument in OF_THE_IMAGE:
        found = re.search(rf"^ARG {argument}=(\S+):(\S+)$", dockerfile, re.MULTILINE)
        if found is None:
            raise AssertionError(f"the Dockerfile names no {argument}")
        yield {
            "bom-ref": f"image-{argument.lower()}",
            "name": found[1],
            "type": "container",
            "version": found[2],
        }


def main() -> None:
    """Print the whole document."""
    document = json.load(sys.stdin)
    added = [*scripts(), *images()]
    document["components"].extend(added)
    document["dependencies"].extend({"ref": each["bom-ref"]} for each in added)
    json.dump(document, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
