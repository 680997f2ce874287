"""Texts that are valid HCL, and texts that are not, by what they show; Terraform agrees."""

from typing import Final

VALID: Final[dict[str, str]] = {
    "template if": ('locals {\n  a = "%{ if true }x%{ else }y%{ endif }"\n}\n'),
    "template for strip": ('locals {\n  a = "%{~ for x in ["a"] ~}${x}%{~ endfor ~}"\n}\n'),
    "heredoc directives": (
        "locals {\n"
        "  a = <<-EOT\n"
        "    %{ for ip in var.ips ~}\n"
        "    server ${ip}\n"
        "    %{ endfor ~}\n"
        "  EOT\n"
        "}\n"
    ),
    "heredoc in call": ("locals {\n  a = trimspace(<<-EOT\n    x\n  EOT\n  )\n}\n"),
    "heredoc in list": ('locals {\n  a = [<<EOT\nx\nEOT\n, "b"]\n}\n'),
    "heredoc dash name": ("locals {\n  a = <<-MY-EOT\n    x\n  MY-EOT\n}\n"),
    "heredoc brace": (
        'locals {\n  a = <<EOT\n{ "x": "${jsonencode({a = "}"})}" } " \' # //\nEOT\n}\n'
    ),
    "nested funcs": (
        "locals {\n"
        '  a = merge({for k, v in var.x : k => v if v != null}, { b = lookup(var.y, "z", null) })\n'
        "}\n"
    ),
    "for multi": (
        'locals {\n  a = [\n    for k, v in var.x :\n    "${k}-${v}"\n    if v > 1\n  ]\n}\n'
    ),
    "for group": ("locals {\n  a = { for x in var.x : x.k => x... }\n}\n"),
    "splat attr": (
        "locals {\n"
        "  a = aws_instance.x.*.id\n"
        "  b = aws_instance.x[*].id\n"
        " c = aws_instance.x.*.tags.Name[0]\n"
        "}\n"
    ),
    "legacy index": ("locals {\n  a = x.0.id\n}\n"),
    "comment hash": ("# c\n// d\n/* e */ locals { # x\n  a = 1 // y\n  b = /* in */ 2\n}\n"),
    "comment in list": (
        "locals {\n  a = [ # first\n    1, # one\n    // two\n    2\n    /* end */\n  ]\n}\n"
    ),
    "comment in obj": ("locals {\n  a = {\n    # c\n    x = 1, # d\n    /* m */ y = 2\n  }\n}\n"),
    "comment in call": ("locals {\n  a = merge( # c\n    var.x, // d\n    var.y\n  )\n}\n"),
    "unicode": ('locals {\n  größe = "日本語 😀 é"\n}\n'),
    "unicode escape": ('locals {\n  a = "\\u00e9\\U0001F600\\n\\t\\\\\\""\n}\n'),
    "crlf": ('variable "a" {\r\n  default = <<EOT\r\nx\r\nEOT\r\n}\r\n'),
    "oneline block": 'variable "a" { default = 1 }\n',
    "oneline empty": ('variable "a" {}\nvariable "b" {}'),
    "unquoted label": ("variable a {\n  type = string\n}\n"),
    "cond multi": ("locals {\n  a = (\n    var.x\n    ? 1\n    : 2\n  )\n}\n"),
    "cond multi2": ("locals {\n  a = var.x ? {\n    a = 1\n  } : {\n    b = 2\n  }\n}\n"),
    "op multi": ("locals {\n  a = (\n    var.x &&\n    var.y\n    || !var.z\n  )\n}\n"),
    "op multi lead": (
        'variable "a" {\n'
        "  validation {\n"
        "    condition = (\n"
        "      length(var.a) > 1\n"
        "      && length(var.a) < 5\n"
        "    )\n"
        '    error_message = "x"\n'
        "  }\n"
        "}\n"
    ),
    "neg": ("locals {\n  a = -1\n  b = !true\n  c = -(1 + 2)\n  d = -var.x\n e = !(true)\n}\n"),
    "num": ("locals {\n  a = 1.5e3\n  b = 1E-3\n  c = 0\n}\n"),
    "obj colon": ('locals {\n  a = { "x" : 1, y : 2 }\n}\n'),
    "obj key expr": ('locals {\n  a = { (var.x) = 1, "${var.y}-z" = 2, a.b = 3 }\n}\n'),
    "obj key num": ('locals {\n  a = { 1 = "x" }\n}\n'),
    "obj comma nl": ("locals {\n  a = { x = 1\n y = 2 }\n}\n"),
    "func expand": ("locals {\n  a = max(var.list...)\n}\n"),
    "func ns": ('locals {\n  a = provider::aws::arn_parse("x")\n}\n'),
    "func trailing": ("locals {\n  a = max(1, 2,)\n}\n"),
    "func multiline": ("locals {\n  a = max(\n    1,\n    2\n  )\n}\n"),
    "index expr": ('locals {\n  a = var.x[var.y][0]["z"].q\n}\n'),
    "paren attr": ("locals {\n  a = (var.x).y\n  b = [1,2][0]\n  c = {a=1}.a\n}\n"),
    "call attr": ("locals {\n  a = foo(1).b[0]\n}\n"),
    "nested quotes": ('locals {\n  a = "x ${var.m["k"]} ${join(",", ["a", "${var.b}"])} y"\n}\n'),
    "dollar escape": ('locals {\n  a = "$${not} %%{not} $ % {}"\n}\n'),
    "type object": (
        'variable "a" {\n'
        "  type = map(object({\n"
        '    x = optional(string, "d")\n'
        "    y = optional(list(object({ z = number })), [])\n"
        "  }))\n"
        "  default = {}\n"
        "}\n"
    ),
    "dyn": (
        'resource "a" "b" {\n'
        '  dynamic "x" {\n'
        "    for_each = var.x\n"
        "    content {\n"
        "      y = x.value\n"
        "    }\n"
        "  }\n"
        "}\n"
    ),
    "no final nl": ('variable "a" {\n  type = string\n}'),
    "empty": "",
    "only comment": "# hi",
    "comment nofinal": "/* a */",
    "keyword attr": ("locals {\n  for = 1\n  if = 2\n  in = 3\n  null_x = 4\n}\n"),
    "attr kw trav": ("locals {\n  a = x.for.if.in\n}\n"),
    "provider alias": (
        'module "x" {\n  source = "./x"\n  providers = {\n    aws.a = aws.b\n  }\n}\n'
    ),
    "semicolon none": (
        "terraform {\n"
        '  required_version = ">= 1.0"\n'
        "  required_providers {\n"
        '    a = { source = "a/b" }\n'
        "  }\n"
        "}\n"
    ),
    "block comment between": ('variable /* x */ "a" /* y */ {\n}\n'),
    "label brace nextline": ("locals {\n\n\n  a = 1\n\n}\n\n\n"),
    "tmpl multi": ('locals {\n  a = "${\n    var.x\n  }"\n}\n'),
    "tmpl strip": ('locals {\n  a = "${~ var.x ~}"\n}\n'),
    "tmpl obj": ('locals {\n  a = "${jsonencode({ "a" = { "b" = "}" } })}"\n}\n'),
    "ident dash": ("locals {\n  my-attr = local.other-attr\n}\n"),
    "compare chain": ("locals {\n  a = 1 + 2 * 3 - 4 / 5 % 6 == 7 && 8 != 9\n}\n"),
    "in heredoc interp": (
        "locals {\n"
        "  a = <<-EOT\n"
        '    ${join("\\n", [for s in var.s : <<-X\n'
        "      inner ${s}\n"
        "    X\n"
        "    ])}\n"
        "  EOT\n"
        "}\n"
    ),
    "tab": ('variable\t"a"\t{\n\tdefault\t=\t1\n}\n'),
    "escaped label": ('variable "a\\"b" {\n}\n'),
    "eq nospace": ('variable "a" {\n  default=1\n  type=string\n}\n'),
    "multi attr list trailing": ("locals {\n  a = [\n    1,\n    2,\n  ]\n}\n"),
    "for nested": (
        "locals {\n  a = flatten([for k, v in var.x : [for i in v : { k = k, i = i }]])\n}\n"
    ),
    "null": ('variable "a" {\n  default = null\n}\n'),
    "for obj multi": (
        "locals {\n"
        "  a = {\n"
        "    for k, v in var.x :\n"
        "    k => {\n"
        "      v = v\n"
        "    }\n"
        "    if v != null\n"
        "  }\n"
        "}\n"
    ),
    "cond leading q": ("locals {\n  a = [\n    var.x ?\n    1 :\n    2,\n  ]\n}\n"),
    "bom": '\ufeffvariable "a" {}\n',
    "nested comment str": ('locals {\n  a = "# not /* a comment // "\n}\n'),
    "heredoc nested marker": ("locals {\n  a = <<EOT\nEOTX\n EOT2\nEOT\n}\n"),
    "index star": ("locals {\n  a = var.x[*]\n  b = var.x.*\n}\n"),
    "paren obj key": (
        'locals {\n  a = {\n    (local.k) = "v"\n    "q" = 1\n    u.v.w = 3\n  }\n}\n'
    ),
    "import block": (
        "import {\n"
        '  to = a.b["c"]\n'
        '  id = "x"\n'
        "}\n"
        "moved {\n"
        " from = a.b\n"
        " to = c.d\n"
        "}\n"
        'check "x" {\n'
        ' data "http" "e" {\n'
        ' url = "x"\n'
        " }\n"
        " assert {\n"
        " condition = true\n"
        ' error_message = "m"\n'
        "}\n"
        "}\n"
    ),
}
INVALID: Final[dict[str, str]] = {
    "two attrs line": ("locals {\n  a = 1 b = 2\n}\n"),
    "two blocks line": 'variable "a" {} variable "b" {}\n',
    "one line then more": ('variable "a" { default = 1\n  type = string }\n'),
    "one line two": 'variable "a" { default = 1, type = string }\n',
    "one line block": 'variable "a" { validation {} }\n',
    "double comma": ("locals {\n  a = [1,,2]\n}\n"),
    "op next line": ("locals {\n  a = var.x\n    && var.y\n}\n"),
    "obj no comma": ("locals {\n  a = { x = 1 y = 2 }\n}\n"),
    "obj op line": ("locals {\n  a = { x = 1\n + 2 }\n}\n"),
    "unclosed": ("locals {\n  a = 1\n"),
    "unclosed str": ('locals {\n  a = "x\n}\n'),
    "extra brace": ("locals {\n}\n}\n"),
    "no value": ("locals {\n  a =\n}\n"),
    "val next line": ("locals {\n  a =\n  1\n}\n"),
    "brace next line": ("locals\n{\n}\n"),
    "no eq": ("locals {\n  a 1\n}\n"),
    "heredoc no end": ("locals {\n  a = <<EOT\nx\n"),
    "bad escape": ('locals {\n  a = "\\q"\n}\n'),
    "label interp": ('variable "${a}" {\n}\n'),
    "kw": ("locals {\n  a = [for x in y]\n}\n"),
    "single quote": ("locals {\n  a = 'x'\n}\n"),
    "ternary": ("locals {\n  a = x ? 1\n}\n"),
    "unclosed comment": ("/* x\nlocals {}\n"),
    "if unclosed": ('locals {\n  a = "%{ if x }y"\n}\n'),
    "else alone": ('locals {\n  a = "%{ else }y"\n}\n'),
    "trailing op": ("locals {\n  a = 1 +\n}\n"),
    "chained colon": ("locals {\n  a = x : y\n}\n"),
    "num name": ("locals {\n  1a = 2\n}\n"),
    "a heredoc with space behind its name": ("locals {\n  a = <<EOT  \nx\nEOT\n}\n"),
    "carriage return alone": ("locals {\n  a = 1\r}\n"),
}
