import os
import subprocess
from pathlib import Path

import pytest

from runtime.archive import extract
from services.catalog.git_source import Fetched, GitLimits, RepositoryError, fetch
from services.catalog.reading import ReadingLimits, Result, read_modules
from services.catalog.reading_messages import Found, KnownModule, NoModule, Refused, Same
from services.catalog.repository_address import LocalAddress
from tests.integration.catalog.git_host import Repository
from tests.support.tools import program
from tests.unit.catalog.modules import EXAMPLES, FIXTURES, MAIN

LIMITS = ReadingLimits(module_seconds_max=30)


@pytest.fixture(autouse=True)
def git() -> None:
    program("git")


async def fetched(repository: Repository, folder: Path) -> Fetched:
    folder.mkdir()
    return await fetch(
        LocalAddress(str(repository.path)),
        branch=None,
        token=None,
        into=folder,
        limits=GitLimits(seconds_max=20, bytes_max=50_000_000),
        allow_private=True,
    )


async def read(
    repository: Repository,
    folder: Path,
    known: tuple[KnownModule, ...] = (),
    limits: ReadingLimits = LIMITS,
) -> dict[str, Result]:
    """Return what each of the repository's directories is that is a module, or means to be."""
    commit = await fetched(repository, folder)
    output = folder / "archives"
    output.mkdir()
    results = read_modules(
        commit,
        repository_name="modules",
        known=known,
        output_directory=output,
        limits=limits,
    )
    return {r.path: r async for r in results if not isinstance(r, NoModule)}


def yaml(name: str, cost: str = "5") -> str:
    return f"name: {name}\ncredit_cost: {cost}\n"


def known(*results: Result) -> tuple[KnownModule, ...]:
    return tuple(
        KnownModule(path=r.path, fingerprint=r.fingerprint, paths=r.paths)
        for r in results
        if isinstance(r, Found)
    )


def found(result: Result) -> Found:
    assert isinstance(result, Found), result
    return result


def source(result: Result, into: Path) -> dict[str, str]:
    """Return the files of a module's archive, taken out as the deployer does."""
    into.mkdir()
    extract(Path(found(result).archive_file).read_bytes(), into)
    return {
        path.relative_to(into).as_posix(): path.read_text()
        for path in into.rglob("*")
        if path.is_file()
    }


def refusal(result: Result) -> list[tuple[str, int, str]]:
    assert isinstance(result, Refused), result
    return [(problem.file, problem.line, problem.message) for problem in result.problems]


async def test_the_examples_are_all_read(tmp_path: Path) -> None:
    files = {
        path.relative_to(EXAMPLES).as_posix(): path.read_bytes()
        for path in EXAMPLES.rglob("*")
        if path.is_file()
    }
    results = await read(Repository.make(tmp_path / "r", files), tmp_path / "w")
    assert sorted(results) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert {found(result).archive_folder for result in results.values()} == {""}


async def test_a_rad_repository_is_read_as_it_is(tmp_path: Path) -> None:
    root = FIXTURES / "rad"
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    results = await read(Repository.make(tmp_path / "r", files), tmp_path / "w")
    assert sorted(results) == ["modules/Bank_GKE", "modules/Website_CloudRun"]
    bank, website = results["modules/Bank_GKE"], results["modules/Website_CloudRun"]
    assert found(bank).archive_folder == "modules/Bank_GKE"
    assert sorted(source(bank, tmp_path / "bank")) == [
        "modules/App_Common/main.tf",
        "modules/Bank_GKE/README.md",
        "modules/Bank_GKE/main.tf",
        "modules/Bank_GKE/outputs.tf",
        "modules/Bank_GKE/variables.tf",
    ]
    assert found(website).archive_folder == ""
    assert sorted(source(website, tmp_path / "website")) == [
        "main.tf",
        "templates/page.html.tftpl",
    ]


async def test_one_bad_module_never_blocks_the_others(tmp_path: Path) -> None:
    repository = Repository.make(
        tmp_path / "r",
        {
            "bad/module.yaml": yaml("bad", "-5"),
            "bad/main.tf": MAIN,
            "broken/module.yaml": yaml("broken"),
            "broken/main.tf": "\nresource {{\n",
            "good/module.yaml": yaml("good"),
            "good/main.tf": MAIN,
            "notes/readme.md": "no module",
            ".hidden/module.yaml": yaml("hidden"),
        },
    )
    results = await read(repository, tmp_path / "w")
    assert sorted(results) == ["bad", "broken", "good"]
    assert refusal(results["bad"]) == [("module.yaml", 2, "`credit_cost` must not be negative")]
    [(file, line, _)] = refusal(results["broken"])
    assert (file, line) == ("main.tf", 2)
    assert found(results["good"]).definition.name == "good"


async def test_the_repository_itself_may_be_a_module(tmp_path: Path) -> None:
    files = {"module.yaml": yaml("whole"), "main.tf": MAIN, ".gitignore": "x", "a/b.txt": "c"}
    results = await read(Repository.make(tmp_path / "r", files), tmp_path / "w")
    assert sorted(source(results[""], tmp_path / "s")) == sorted(files)


async def test_processes_share_the_reading_and_find_the_same(tmp_path: Path) -> None:
    files = {"README.md": "# Not a module."}
    for number in range(25):
        files |= {f"m{number}/module.yaml": yaml(f"m{number}"), f"m{number}/main.tf": MAIN}
    files |= {"m7/main.tf": "{", "m3/module.yaml": "name: m3\n"}
    repository = Repository.make(tmp_path / "r", files)
    alone = await read(repository, tmp_path / "1")
    together = await read(
        repository, tmp_path / "3", limits=ReadingLimits(module_seconds_max=30, processes_max=3)
    )
    assert len(together) == 25
    assert known(*together.values()) != ()
    assert {path: repr(r).replace(str(tmp_path / "3"), "") for path, r in together.items()} == {
        path: repr(r).replace(str(tmp_path / "1"), "") for path, r in alone.items()
    }
    unchanged = await read(
        repository,
        tmp_path / "4",
        known=known(*alone.values()),
        limits=ReadingLimits(module_seconds_max=30, processes_max=3),
    )
    assert sum(isinstance(result, Same) for result in unchanged.values()) == 23


async def test_all_processes_together_may_die_a_few_times(tmp_path: Path) -> None:
    # A process that may run no time at all dies on each module.
    files: dict[str, str] = {}
    for number in range(20):
        files |= {f"m{number}/module.yaml": yaml(f"m{number}"), f"m{number}/main.tf": MAIN}
    repository = Repository.make(tmp_path / "r", files)
    limits = ReadingLimits(module_seconds_max=0.000_001, processes_max=3)
    with pytest.raises(RepositoryError, match="more than 5 modules take too much time or memory"):
        await read(repository, tmp_path / "1", limits=limits)


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    repository = Repository.make(
        tmp_path / "r",
        {
            "web/module.yaml": yaml("web"),
            "web/main.tf": 'module "a" {\n  source = "../shared/a"\n}\n',
            "shared/a/main.tf": 'module "b" {\n  source = "./b"\n}\n',
            "shared/a/b/main.tf": MAIN,
            "api/module.yaml": yaml("api"),
            "api/main.tf": MAIN,
        },
    )
    first = await read(repository, tmp_path / "w1")
    remembered = known(*first.values())
    repository.commit({"README.md": "Something else entirely."})
    again = await read(repository, tmp_path / "w2", remembered)
    assert {path: type(result) for path, result in again.items()} == {"api": Same, "web": Same}

    repository.commit({"shared/a/b/more.txt": "Used by web only."})
    third = await read(repository, tmp_path / "w3", remembered)
    assert {path: type(result) for path, result in third.items()} == {"api": Same, "web": Found}
    assert sorted(source(third["web"], tmp_path / "s")) == [
        "shared/a/b/main.tf",
        "shared/a/b/more.txt",
        "shared/a/main.tf",
        "web/main.tf",
        "web/module.yaml",
    ]


async def test_links_within_the_repository_become_plain_files(tmp_path: Path) -> None:
    repository = Repository.make(
        tmp_path / "r",
        {
            "shared/variables.tf": 'variable "region" { type = string }\n',
            "shared/files/a.txt": "A",
            "web/module.yaml": yaml("web"),
            "web/main.tf": MAIN,
        },
    )
    (repository.path / "web" / "variables.tf").symlink_to("../shared/variables.tf")
    (repository.path / "web" / "files").symlink_to("../shared/files")
    repository.commit()
    first = await read(repository, tmp_path / "w")
    assert source(first["web"], tmp_path / "s") == {
        "files/a.txt": "A",
        "main.tf": MAIN,
        "module.yaml": yaml("web"),
        "variables.tf": 'variable "region" { type = string }\n',
    }
    assert [variable.name for variable in found(first["web"]).definition.variables] == ["region"]
    repository.commit({"shared/files/a.txt": "B"})
    second = await read(repository, tmp_path / "w2", known(*first.values()))
    assert source(second["web"], tmp_path / "s2")["files/a.txt"] == "B"


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("/etc/passwd", "is a link that leads out of the repository"),
        ("../../../etc/passwd", "is a link that leads out of the repository"),
        ("nothing-there", "is a link to nothing in this repository"),
        ("link", "is a link to a link to a link, without an end"),
        (".", "is a link to a directory around it"),
    ],
)
async def test_a_link_that_leads_nowhere_good_is_refused(
    tmp_path: Path, link: str, message: str
) -> None:
    repository = Repository.make(
        tmp_path / "r", {"web/module.yaml": yaml("web"), "web/main.tf": MAIN}
    )
    (repository.path / "web" / "link").symlink_to(link)
    repository.commit()
    [(file, line, said)] = refusal((await read(repository, tmp_path / "w"))["web"])
    assert file.startswith("link")
    assert (line, said) == (0, message)


@pytest.mark.parametrize(
    ("main", "line", "message"),
    [
        (
            '\nmodule "x" {\n  source = "../../outside"\n}\n',
            2,
            "module source `../../outside` leads out of the repository",
        ),
        (
            'module "x" {\n  source = "./nowhere"\n}\n',
            1,
            "module source `./nowhere` is no directory of this repository",
        ),
    ],
)
async def test_a_local_module_must_be_in_the_repository(
    tmp_path: Path, main: str, line: int, message: str
) -> None:
    files = {"web/module.yaml": yaml("web"), "web/main.tf": main}
    results = await read(Repository.make(tmp_path / "r", files), tmp_path / "w")
    assert refusal(results["web"]) == [("main.tf", line, message)]


async def test_a_submodule_in_a_module_is_refused(tmp_path: Path) -> None:
    inner = Repository.make(tmp_path / "inner", {"a": "1"})
    repository = Repository.make(
        tmp_path / "r", {"web/module.yaml": yaml("web"), "web/main.tf": MAIN}
    )
    repository.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "web/sub"
    )
    repository.commit()
    assert refusal((await read(repository, tmp_path / "w"))["web"]) == [
        ("sub", 0, "is a Git submodule; submodules are not read")
    ]


async def test_files_that_nobody_should_have_to_read_are_refused(tmp_path: Path) -> None:
    web = {"web/module.yaml": yaml("web"), "web/main.tf": MAIN}
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    cases: list[tuple[str, str | bytes, tuple[str, int, str]]] = [
        (
            "web/image.bin",
            pointer,
            ("image.bin", 0, "is a Git LFS pointer, not the file itself"),
        ),
        ("web/huge.bin", bytes(6 * 1024**2), ("huge.bin", 0, "is larger than 5242880 bytes")),
        ("web/module.yaml", bytes(6 * 1024**2), ("module.yaml", 0, "is larger than 5242880 b")),
    ]
    for number, (name, content, problem) in enumerate(cases):
        repository = Repository.make(tmp_path / f"r{number}", {**web, name: content})
        [told] = refusal((await read(repository, tmp_path / f"w{number}"))["web"])
        assert told[:2] == problem[:2]
        assert told[2].startswith(problem[2])
    many = {**web, **{f"web/f{n}": "" for n in range(2_001)}}
    repository = Repository.make(tmp_path / "many", many)
    assert refusal((await read(repository, tmp_path / "wm"))["web"]) == [
        (".", 0, "the module has more than 2000 files")
    ]


async def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    repository = Repository.make(
        tmp_path / "r", {"web/module.yaml": yaml("web"), "web/main.tf": MAIN}
    )
    Path(os.fsdecode(os.fsencode(repository.path / "web") + b"/zug\xe9.tf")).write_bytes(b"")
    repository.commit()
    [(file_name, _, message)] = refusal((await read(repository, tmp_path / "w"))["web"])
    assert file_name == "zug\\xe9.tf"
    assert message.startswith("has a backslash in its name, or a name that is not UTF-8")


async def test_a_module_that_takes_too_long_is_refused_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    endless = "".join(f'variable "v{n}" {{\n  default = {n}\n}}\n' for n in range(20_000))
    # What is nested as deeply is read by the slow parser.
    endless += "locals {\n  a = " + "[" * 100 + "]" * 100 + "\n}\n"
    repository = Repository.make(
        tmp_path / "r",
        {
            "a/module.yaml": yaml("a"),
            "a/main.tf": MAIN,
            "b/module.yaml": yaml("b"),
            "b/main.tf": endless,
            "c/module.yaml": yaml("c"),
            "c/main.tf": MAIN,
        },
    )
    results = await read(repository, tmp_path / "w", limits=ReadingLimits(module_seconds_max=4))
    assert refusal(results["b"]) == [
        (".", 0, "cannot be read in the time and memory that a module may take")
    ]
    assert found(results["a"]).definition.name == "a"
    assert found(results["c"]).definition.name == "c"


async def test_a_repository_with_too_many_files_is_not_read(tmp_path: Path) -> None:
    # One object under very many names is cheap to make, and to fetch.
    repository = Repository.make(tmp_path / "r", {"a": ""})
    blob = repository.git("rev-parse", "HEAD:a")
    index = "".join(f"100644 {blob} 0\td{n // 100}/f{n}\n" for n in range(50_500))
    (tmp_path / "index").write_text(index)
    repository.git("-c", "core.safecrlf=false", "rm", "-q", "a")
    with (tmp_path / "index").open() as lines:
        subprocess.run(
            ("git", "update-index", "--index-info"), cwd=repository.path, stdin=lines, check=True
        )
    repository.git("commit", "--quiet", "--message=Many")
    with pytest.raises(RepositoryError, match="has more than 50000 files and directories"):
        await read(repository, tmp_path / "w")
