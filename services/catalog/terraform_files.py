"""Terraform's files: blocks, with the text and line of each expression.

Those in JSON are read by `terraform_json`, others by `terraform_blocks`. What is nested deeper than
that reads, and what is wrong with a file that it does not understand, python-hcl2 tells. Only this
module knows that parser. What an expression means is read by `contracts.variables`, from its text.
"""

from collections.abc import Iterator
from typing import Any, Final

from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from contracts.variables.templates import BeyondBoundsError, NotUnderstoodError
from services.catalog.definition import ModuleRefusedError, Problem, refused
from services.catalog.terraform_blocks import Attribute, Block, read_blocks
from services.catalog.terraform_json import read_json_blocks

JSON_ENDING: Final = ".tf.json"
FILE_BYTES_MAX: Final = 1_048_576
_EXCERPT_LENGTH: Final = 20


def decoded(file: str, content: bytes, bytes_max: int = FILE_BYTES_MAX) -> str:
    """Return a file's text with plain line ends, else a refusal that names file and line."""
    if len(content) > bytes_max:
        raise refused(file, 0, f"is larger than {bytes_max} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refused(file, line, "is not UTF-8") from error
    return text.replace("\r\n", "\n")


def read_terraform(file: str, content: bytes) -> tuple[Block, ...]:
    """Return the top-level blocks of a file, else a refusal that names file and line.

    Of a `.tf.json` file those of variables, outputs and modules.
    """
    text = decoded(file, content)
    if file.endswith(JSON_ENDING):
        return read_json_blocks(file, text)
    try:
        return read_blocks(file, text)
    except NotUnderstoodError as error:
        blocks = _parsed(file, text)
        if isinstance(error, BeyondBoundsError):
            return blocks
        # The parser is more lenient than Terraform, which does refuse this.
        line = text.count("\n", 0, error.offset) + 1
        raise refused(file, line, f"is not valid HCL: {error.message}") from error


def _parsed(file: str, text: str) -> tuple[Block, ...]:
    """Return the blocks as python-hcl2 reads them, else a refusal that names file and line."""
    # Slow to load, and few repositories need it.
    import hcl2

    try:
        body = hcl2.parses_to_tree(text).children[0]
        if not isinstance(body, Tree):
            raise refused(file, 0, "is not valid HCL")
        return _read_body(file, text, body)[1]
    except (LarkError, RecursionError) as error:
        line, message = _explained(error, text)
        raise refused(file, line, message) from error


def _explained(error: Exception, text: str) -> tuple[int, str]:
    """Return the line, and a sentence for people, of what the parser could not take."""
    last_line = text.count("\n", 0, len(text.rstrip())) + 1
    if isinstance(error, UnexpectedEOF):
        return last_line, "is not valid HCL: the file ends in the middle of something"
    if not isinstance(error, UnexpectedInput):
        return 0, "is not valid HCL"
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return last_line, "is not valid HCL: the file ends in the middle of something"
    # The lexer's last resort is a token of all that follows: its beginning is what surprised it.
    rest = text.split("\n")[error.line - 1 : error.line]
    word = rest[0][error.column - 1 :][:_EXCERPT_LENGTH].strip() if rest else ""
    what = f"unexpected `{word}`" if word else "unexpected end of the line"
    return min(error.line, last_line), f"is not valid HCL: {what}"


def _read_body(
    file: str, text: str, body: Tree[Token]
) -> tuple[dict[str, Attribute], tuple[Block, ...]]:
    attributes: dict[str, Attribute] = {}
    blocks: list[Block] = []
    for child in _trees(body):
        if child.data == "attribute":
            name = _word(child.children[0])
            if name in attributes:
                raise refused(file, child.meta.line, f"sets `{name}` twice")
            attributes[name] = _attribute(text, child.children[-1])
        elif child.data == "block":
            blocks.append(_read_block(file, text, child))
    return attributes, tuple(blocks)


def _read_block(file: str, text: str, block: Tree[Token]) -> Block:
    words = [_word(child) for child in _trees(block) if child.data in _LABELS]
    inner = next(child for child in _trees(block) if child.data == "body")
    attributes, blocks = _read_body(file, text, inner)
    return Block(
        file=file,
        kind=words[0],
        labels=tuple(words[1:]),
        line=block.meta.line,
        attributes=attributes,
        blocks=blocks,
    )


_LABELS: Final = frozenset({"identifier", "keyword", "literal_value", "string"})


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    for child in tree.children:
        if isinstance(child, Tree):
            yield child


def _word(node: Any) -> str:
    """Return the name that an identifier or a plain string stands for."""
    if isinstance(node, Token):
        return str(node)
    tokens = (str(each) for each in node.scan_values(lambda value: isinstance(value, Token)))
    return "".join(each for each in tokens if each != '"')


def _attribute(text: str, node: Any) -> Attribute:
    if isinstance(node, Token):
        return Attribute(text[node.start_pos : node.end_pos], node.line or 0)
    return Attribute(text[node.meta.start_pos : node.meta.end_pos], node.meta.line)


def named_blocks(blocks: tuple[Block, ...], kind: str, problems: list[Problem]) -> dict[str, Block]:
    """Return the blocks of one kind by their label; one declared twice becomes a problem."""
    found: dict[str, Block] = {}
    for block in blocks:
        if block.kind != kind:
            continue
        name = block.labels[0] if block.labels else ""
        if not name or len(block.labels) > 1:
            message = f"a {kind} has one name"
            problems.append(Problem(file=block.file, line=block.line, message=message))
        elif name in found:
            first = found[name]
            message = f"{kind} `{name}` is declared twice, first in {first.file}:{first.line}"
            problems.append(Problem(file=block.file, line=block.line, message=message))
        else:
            found[name] = block
    return found


def raise_if_any(problems: list[Problem]) -> None:
    """Refuse the module if there are problems."""
    if problems:
        raise ModuleRefusedError(tuple(problems))
