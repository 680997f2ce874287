"""Whatever a stranger's directory holds, reading it ends with a module, with none, or a refusal."""

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalog import v1
from services.catalog.definition import ModuleRefusedError
from services.catalog.module_reader import read_module
from services.catalog.publishing import published_definition
from tests.unit.catalog.modules import EXAMPLES, FIXTURES, files_in

REAL_FILES = [
    content
    for directory in (EXAMPLES / "static-website", FIXTURES / "rad" / "modules" / "Bank_GKE")
    for content in files_in(directory).values()
]
PIECES = [
    *(b"variable", b'"module_description"', b'"credit_cost"', b"{", b"}", b"=", b'"', b"default"),
    *(b"type", b"list(", b")", b"<<-EOT\n", b"EOT\n", b"[", b"]", b",", b"name:", b"web", b"\n"),
    *(b"credit_cost:", b" 5\n", b"- ", b": ", b"&a ", b"*a", b"!!x ", b"variables:\n", b"\xff"),
    *(b"\x00", b"${", b"?", b"#", b"validation", b"condition", b"{{UIMeta ", b"options=", b"}}"),
    *(b"/*", b"0x1", b"1e9", b"\t", b"|\n"),
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real file with some of it replaced, dropped or repeated."""
    content = draw(st.sampled_from(REAL_FILES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 40)))
        content = content[:start] + draw(SOUP | st.just(content[start:end] * 2)) + content[end:]
    return content


CONTENT = st.one_of(damaged(), SOUP, st.binary(max_size=60))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["module.yaml", "module.yml", "main.tf", "variables.tf", "README.md"]),
        CONTENT,
    ),
    st.sampled_from(["web", "", "a b", "?"]),
)
def test_reading_never_fails_in_another_way(module: dict[str, bytes], directory: str) -> None:
    try:
        read = read_module(directory, module)
    except ModuleRefusedError as error:
        assert error.problems
        assert all(each.message and each.line >= 0 for each in error.problems)
    else:
        if read is not None:
            assert isinstance(published_definition(read.definition), v1.Definition)
