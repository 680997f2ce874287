"""What strangers put into repositories, and hosts that mean no good.

Each ends its module, or its sync, with a clear word, and the service goes on.
"""

import hashlib
import itertools
import os
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.catalog.conftest import Catalog, RunCatalog, outcomes
from tests.integration.catalog.git_host import GitHost, Repository, serve
from tests.unit.catalog.modules import MAIN, YAML

BOMB: Final = 'a: &a ["lol"]\n' + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in itertools.pairwise("abcdefghi")
)
POINTER: Final = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

FILES: Final[dict[str, tuple[dict[str, str | bytes], str]]] = {
    "yaml-bomb": ({"module.yaml": BOMB}, "module.yaml:1: uses an anchor or alias"),
    "anchor-loop": ({"module.yaml": "name: &a [*a]\n"}, "module.yaml:1: uses an anchor or alias"),
    "key-twice": ({"module.yaml": YAML + "name: b\n"}, "module.yaml:3: has `name` twice, first"),
    "wrong-type": (
        {"module.yaml": "name: web\ncredit_cost: [5]\n"},
        "module.yaml:2: `credit_cost` must be a whole number of credits, not a list",
    ),
    "negative": (
        {"module.yaml": "name: web\ncredit_cost: -5\n"},
        "module.yaml:2: `credit_cost` must not be negative",
    ),
    "fraction": (
        {"module.yaml": "name: web\ncredit_cost: 2.5\n"},
        "module.yaml:2: `credit_cost` must be a whole number of credits, not a fraction",
    ),
    "unknown-field": (
        {"module.yaml": YAML + "public_acess: true\n"},
        "module.yaml:3: `public_acess` is not a field of the module; did you mean `public_access`?",
    ),
    "huge-file": ({"big.bin": bytes(10 * 1024**2)}, "big.bin:0: is larger than 5242880 bytes"),
    "huge-hcl": ({"main.tf": b"#" * 10 * 1024**2}, "main.tf:0: is larger than 5242880 bytes"),
    "huge-yaml": ({"module.yaml": b"#" * 10 * 1024**2}, "module.yaml:0: is larger than 52428"),
    "not-utf-8": ({"main.tf": b'locals {\n  a = "\xff"\n}\n'}, "main.tf:2: is not UTF-8"),
    "yaml-not-utf-8": ({"module.yaml": b"name: \xe9\n"}, "module.yaml:1: is not UTF-8"),
    "broken-hcl": ({"main.tf": "locals {\n  a = = 1\n}\n"}, "main.tf:2: is not valid HCL"),
    "deep-hcl": ({"main.tf": "x = " + "[" * 9_999 + "\n"}, "main.tf:1: is not valid HCL"),
    "broken-json": ({"main.tf.json": "{"}, "main.tf.json:1: is not valid JSON"),
    "source-outside": (
        {"main.tf": 'module "m" {\n  source = "../../../etc"\n}\n'},
        "main.tf:1: module source `../../../etc` leads out of the repository",
    ),
    "lfs-pointer": ({"main.tf": POINTER}, "main.tf:0: is a Git LFS pointer, not the file itself"),
    "lfs-image": ({"logo.png": POINTER}, "logo.png:0: is a Git LFS pointer, not the file itself"),
}


def empty_pack_entry() -> bytes:
    """Return a blob of 4,000 random bytes as it stands in a pack."""
    content = os.urandom(4_000)
    header = bytes([0x80 | 3 << 4 | (4_000 & 15), 0x80 | (4_000 >> 4 & 127), 4_000 >> 11])
    return header + zlib.compress(content)


def framed(*, band: bytes, content: bytes) -> bytes:
    return f"{len(content) + len(band) + 4:04x}".encode() + band + content


def endless_pack(body: bytes) -> Iterator[bytes] | None:
    if b"command=fetch" not in body:
        return None
    start = framed(band=b"", content=b"packfile\n")
    header = framed(band=b"\1", content=b"PACK" + bytes([0, 0, 0, 2, 0, 16, 0, 0]))
    entries = (framed(band=b"\1", content=empty_pack_entry()) for _ in itertools.count())
    return itertools.chain([start, header], entries)


def endless_references(body: bytes) -> Iterator[bytes] | None:
    if b"command=ls-refs" not in body:
        return None
    numbers = (hashlib.sha1(str(n).encode()).hexdigest() for n in itertools.count())  # noqa: S324
    return (framed(band=b"", content=f"{n} refs/heads/{n}\n".encode()) for n in numbers)


def endless_drip(_: bytes) -> Iterator[bytes]:
    for number in itertools.count():
        time.sleep(0.05)
        yield b"001e# service=git-upload-pack\n"[number : number + 1] or b"0"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with serve(tmp_path / "hosted") as host:
        yield host


def add_to_index(repository: Repository, lines: str) -> None:
    subprocess.run(
        ("git", "update-index", "--index-info"),
        cwd=repository.path,
        input=lines.encode(),
        check=True,
    )
    repository.git("commit", "--quiet", "--message=More")


def told(catalog_report: dict[str, object], path: str) -> list[str]:
    modules = catalog_report["modules"]
    assert isinstance(modules, list)
    [module] = [each for each in modules if each["path"] == path]
    assert module["outcome"] == "REFUSED"
    return [f"{p['file']}:{p['line']}: {p['message']}" for p in module["problems"]]


async def test_each_bad_module_is_told_why_and_the_good_one_is_published(
    catalog: Catalog, tmp_path: Path
) -> None:
    files: dict[str, str | bytes] = {}
    for name, (given, _) in {**FILES, "good": ({}, "")}.items():
        texts: dict[str, str | bytes] = {
            "module.yaml": f"name: {name}\ncredit_cost: 5\n",
            "main.tf": MAIN,
            **given,
        }
        files |= {f"{name}/{file}": text for file, text in texts.items()}
    repository = Repository.make(tmp_path / "modules", files)
    (repository.path / "link").mkdir()
    repository.write({"link/module.yaml": YAML, "link/main.tf": MAIN})
    (repository.path / "link" / "secrets.tf").symlink_to("/etc/passwd")
    repository.commit()
    blob = repository.git("rev-parse", "HEAD:good/main.tf")
    yaml = repository.git("rev-parse", "HEAD:good/module.yaml")
    commit = repository.git("rev-parse", "HEAD")
    lines = [f"100644 {blob} 0\tmany/f{number}.txt" for number in range(10_000)]
    for name in ("many", "sub"):
        lines += [f"100644 {blob} 0\t{name}/main.tf", f"100644 {yaml} 0\t{name}/module.yaml"]
    lines += [f"160000 {commit} 0\tsub/inner"]
    add_to_index(repository, "\n".join(lines) + "\n")

    report = await catalog.sync(str(repository.path))
    assert (report["status"], report["error"]) == ("DONE", None)
    for name, (_, message) in FILES.items():
        [problem] = told(report, name)
        assert problem.startswith(message), name
    assert told(report, "link") == ["secrets.tf:0: is a link that leads out of the repository"]
    assert told(report, "many") == [".:0: the module has more than 2000 files"]
    assert told(report, "sub") == ["inner:0: is a Git submodule; submodules are not read"]
    published = {path for path, (outcome, _) in outcomes(report).items() if outcome == "PUBLISHED"}
    assert published == {"good"}


async def test_a_path_that_leads_out_of_the_tree_is_refused(
    catalog: Catalog, tmp_path: Path
) -> None:
    repository = Repository.make(
        tmp_path / "modules", {"web/module.yaml": YAML, "web/main.tf": MAIN, "x/y": "z"}
    )
    # No honest Git makes such a tree.
    inner = bytes.fromhex(repository.git("rev-parse", "HEAD:x"))
    kept = (
        repository.git("rev-parse", "HEAD:web/module.yaml"),
        repository.git("rev-parse", "HEAD:web/main.tf"),
    )
    web = b"40000 ..\0" + inner
    web += b"100644 main.tf\0" + bytes.fromhex(kept[1])
    web += b"100644 module.yaml\0" + bytes.fromhex(kept[0])
    root = b"40000 web\0" + bytes.fromhex(written(repository, web))
    tree = written(repository, root)
    commit = repository.git("commit-tree", tree, "-m", "Out")
    repository.git("update-ref", "refs/heads/main", commit)
    report = await catalog.sync(str(repository.path))
    assert report["status"] == "DONE"
    [problem] = told(report, "web")
    assert "../y" in problem or ".." in problem


def written(repository: Repository, tree: bytes) -> str:
    done = subprocess.run(
        ("git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"),
        cwd=repository.path,
        input=tree,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    ("answer", "limits", "message"),
    [
        (endless_pack, {"repository_bytes_max": 1_048_576}, "is larger than 1048576 bytes"),
        (endless_references, {"sync_timeout_seconds": 2}, " 2 seconds"),
        (endless_drip, {"sync_timeout_seconds": 2}, " 2 seconds"),
    ],
    ids=["pack", "references", "drip"],
)
async def test_a_repository_that_never_ends_fails_its_sync_within_the_bounds(
    run_catalog: RunCatalog,
    host: GitHost,
    answer: Callable[[bytes], Iterator[bytes] | None],
    limits: dict[str, int],
    message: str,
) -> None:
    Repository.make(host.root / "modules", {"web/module.yaml": YAML, "web/main.tf": MAIN})
    host.endless = answer
    async with run_catalog(**limits) as catalog:
        report = await catalog.sync(host.url("modules/.git"))
        assert report["status"] == "FAILED"
        assert message in report["error"]
    host.endless = None
    async with run_catalog() as catalog:
        assert outcomes(await catalog.sync(host.url("modules/.git"))) == {"web": ("PUBLISHED", 1)}
