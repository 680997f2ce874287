"""Files in Terraform's JSON, by what they show; Terraform agrees."""

from typing import Final

VALID: Final[dict[str, str]] = {
    "empty": "{}",
    "array of bodies": '[{"variable": {"a": {}}}, {"variable": {"b": {}}}]',
    "array of labels": '{"variable": [{"a": {}}, {"b": {}}]}',
    "twice the kind": '{"variable": {"a": {}}, "variable": {"b": {}}}',
    "array of one body": '{"variable": {"a": [{"type": "string"}]}}',
    "null is no block": '{"variable": {"a": null}}',
    "comments": '{"//": "x", "variable": {"a": {"//": "x", "default": 1}}}',
    "types": '{"variable": {"a": {"type": "map(object({x = optional(number, 1)}))"}}}',
    "texts are literal": (
        '{"variable": {"a": {"default": "${b} %{if} $${c} \\\\ \\" \\u00e9\\n\\t", '
        '"description": "a ${b}"}}}'
    ),
    "deep default": '{"variable": {"a": {"default": {"a b": [1, 2.5, -3e2, true, null, {}]}}}}',
    "words as keys": '{"variable": {"a": {"default": {"for": 1, "null": 2, "if": 3, "é-x": 4}}}}',
    "switches as texts": '{"variable": {"a": {"sensitive": "true", "nullable": false}}}',
    "validations": (
        '{"variable": {"a": {"type": "number", "default": 2, "validation": [\n'
        '  {"condition": "${var.a > 1}", "error_message": "More than ${1}."},\n'
        '  {"condition": "${ contains([2, 3], var.a) }", "error_message": "No."}\n'
        "]}}}"
    ),
    "outputs": '{"output": {"o": {"value": "${1 + 1}", "description": "O.", "sensitive": true}}}',
    "a resource": '{"resource": {"terraform_data": {"a": {"input": "${path.module}"}}}}',
}

INVALID: Final[dict[str, tuple[str, int, str]]] = {
    "no JSON": ('{\n"variable": {]}', 2, "is not valid JSON: expected a name in quotes"),
    "cut off": ('{"variable":\n {"a"', 2, "is not valid JSON: expected `:`"),
    "more": ("{}\n{}", 2, "is not valid JSON: more follows where the file should end"),
    "a comma too many": ('{"variable": {},\n}', 2, "is not valid JSON: expected a name in quotes"),
    "a comma too few": ("[{}\n{}]", 2, "is not valid JSON: expected `,` or `]`"),
    "a bare word": ("[nope]", 1, "is not valid JSON: Expecting value"),
    "a text": ('"variable"', 1, "the file must be an object or an array of objects"),
    "no body": ('{"variable": "a"}', 1, "`variable` must be an object or an array of objects"),
    "a body that is none": (
        '{"variable": {"a": 1}}',
        1,
        "variable `a` must be an object or an arr",
    ),
    "bodies that are none": ('{"variable": {"a": [\n1]}}', 2, "variable `a` must hold objects onl"),
    "declared twice": ('{"variable": {"a": {},\n"a": {}}}', 2, "variable `a` is declared twice"),
    "set twice": ('{"variable": {"a": {"default": 1,\n"default": 1}}}', 2, "sets `default` twice"),
    "a key twice": ('{"variable": {"a": {"default": {"x": 1,\n"x": 2}}}}', 2, "has `x` twice"),
    "a type in a list": ('{"variable": {"a": {"type": ["x"]}}}', 1, "`type` must be a text"),
    "no type": ('{"variable": {"a": {"type": "strnig"}}}', 1, "type of variable `a`: `strnig` is"),
    "a name of two words": ('{"variable": {"a b": {}}}', 1, "`a b` cannot be a name"),
    "a misspelt argument": (
        '{"variable": {"a": {\n"defualt": 1}}}',
        2,
        "variable `a` has no argument `defualt`; did you mean `default`?",
    ),
    "a default of another type": (
        '{"variable": {"a": {"type": "number",\n"default": "x"}}}',
        2,
        "default of variable `a`: must be a number, not any other string",
    ),
    "a broken condition": (
        '{"variable": {"a": {"validation": {\n"condition": "${var.a >}", "error_message": "x"}}}}',
        2,
        "`condition` is not valid: ",
    ),
    "a condition of words": (
        '{"variable": {"a": {"validation": {"condition": "true", "error_message": "x"}}}}',
        1,
        "`condition` must be a text of the form `${…}`",
    ),
}
