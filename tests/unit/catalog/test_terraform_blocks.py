"""Every `.tf` file that Terraform reads, we read, and see the same blocks in it."""

from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.definition import ModuleRefusedError
from services.catalog.terraform_blocks import Block, read_blocks
from services.catalog.terraform_files import decoded, read_terraform
from tests.unit.catalog.hcl_corpus import INVALID, VALID


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_valid_hcl_is_read(text: str) -> None:
    content = text.encode()
    blocks = read_blocks("main.tf", decoded("main.tf", content))
    assert read_terraform("main.tf", content) == blocks
    assert len(blocks) >= text.count("variable")


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_what_is_no_hcl_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ModuleRefusedError) as refused:
        read_terraform("main.tf", text.encode())
    [problem] = refused.value.problems
    assert problem.file == "main.tf"
    assert 1 <= problem.line <= text.count("\n") + 1
    assert problem.message.startswith("is not valid HCL: ")


def test_what_is_deeper_than_we_read_the_parser_reads() -> None:
    deep = "locals {\n  a = " + "[" * 100 + "]" * 100 + "\n}\n"
    [block] = read_terraform("main.tf", deep.encode())
    assert block.attributes["a"].text == "[" * 100 + "]" * 100
    nested = "a {\n" * 30 + "}\n" * 30
    assert depth(read_terraform("main.tf", nested.encode())) == 30


@pytest.mark.parametrize("text", ["a {\n" * 3_000 + "}\n" * 3_000, "a = " + "(" * 100_000])
def test_what_is_deeper_than_anybody_reads_is_refused(text: str) -> None:
    with pytest.raises(ModuleRefusedError, match="is not valid HCL"):
        read_terraform("main.tf", text.encode())


def depth(blocks: tuple[Block, ...]) -> int:
    return max((1 + depth(block.blocks) for block in blocks), default=0)


def test_places_and_texts_are_those_of_the_file() -> None:
    text = """\
# A comment.
variable "a" { # another
  type = list( # of
    string
  ) # the end
  default = <<-EOT
    }
  EOT

  validation { condition = length(var.a) > 1 } // one line
}
"""
    [block] = read_terraform("main.tf", text.encode())
    assert (block.kind, block.labels, block.line) == ("variable", ("a",), 2)
    assert block.attributes["type"].text == "list( # of\n    string\n  )"
    assert block.attributes["type"].line == 3
    assert block.attributes["default"].text == "<<-EOT\n    }\n  EOT"
    assert block.attributes["default"].line == 6
    [validation] = block.blocks
    assert validation.line == 10
    assert validation.attributes["condition"].text == "length(var.a) > 1"


@dataclass
class Written:
    """A block that is to be written down, and read again."""

    kind: str
    labels: tuple[str, ...]
    attributes: dict[str, str]
    blocks: "list[Written]" = field(default_factory=list)


NAME: Final = st.from_regex(r"[a-zé_][a-z0-9_-]{0,5}", fullmatch=True).filter(
    lambda name: name not in {"true", "false", "null", "for", "if", "in"}
)
EXPRESSION: Final = st.recursive(
    st.sampled_from(
        [
            *("1", "-0.5e3", "true", "null", '"a"', '"}"', '"${var.x}"', '"$${"', "var.x[0].y"),
            *("x.*.y", '"%{ if x }\\"{%{ else }#%{ endif ~}"', '<<EOT\n{ ${a} "\nEOT'),
            "<<-E\n  E2\n  E",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + "\n, ".join(items) + "\n]")
        | st.lists(inner, max_size=3).map(
            lambda items: "{ # }\n" + "".join(f"  k = {item}\n" for item in items) + "}"
        )
        | inner.map(lambda item: f"(\n{item}\n/* ) */ )")
        | st.lists(inner, min_size=1, max_size=2).map(
            lambda items: "merge(" + ", ".join(f"{item}\n" for item in items) + ")"
        )
    ),
    max_leaves=5,
)
BLOCKS: Final = st.recursive(
    st.builds(Written, NAME, st.tuples(NAME), st.dictionaries(NAME, EXPRESSION, max_size=3)),
    lambda inner: st.builds(
        Written,
        NAME,
        st.lists(NAME, max_size=2).map(tuple),
        st.dictionaries(NAME, EXPRESSION, max_size=2),
        st.lists(inner, max_size=2),
    ),
    max_leaves=4,
)
SPACE: Final = st.sampled_from(["", "\n", '  # } " ${\n', "/* { */", "// x\n\n", "\t"])


def written(block: Written, space: str) -> str:
    labels = "".join(f' "{label}"' for label in block.labels)
    attributes = "".join(f"{k} = {v}\n{space}" for k, v in block.attributes.items())
    inner = "".join(written(each, space) for each in block.blocks)
    return f"{space}{block.kind}{labels} {{\n{space}{attributes}{inner}}}\n"


def as_written(block: Block) -> Written:
    texts = {name: attribute.text for name, attribute in block.attributes.items()}
    return Written(block.kind, block.labels, texts, [as_written(each) for each in block.blocks])


@given(st.lists(BLOCKS, max_size=3), SPACE)
def test_what_is_written_is_read(blocks: list[Written], space: str) -> None:
    text = "".join(written(block, space) for block in blocks)
    assert [as_written(block) for block in read_blocks("main.tf", text)] == blocks


@given(st.lists(st.sampled_from(list(VALID.values())), max_size=3), st.data())
def test_any_damage_is_a_module_still_or_a_refusal(texts: list[str], data: st.DataObject) -> None:
    text = "".join(texts)
    place = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(place, len(text)))
    piece = data.draw(
        st.sampled_from(["", "{", "}", '"', "${", "%{", "<<E\n", "/*", "\0", "=", "["])
    )
    try:
        read_terraform("main.tf", (text[:place] + piece + text[end:]).encode())
    except ModuleRefusedError as error:
        assert all(problem.file == "main.tf" for problem in error.problems)  # noqa: PT017 - it may
