"""Templates, and how values look in them."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from services.gateway.web.amounts import minor_digits
from services.gateway.web.assets import address_of
from services.gateway.web.navigation import navigation

TEMPLATES: Final = Path(__file__).parent / "templates"
MINUS: Final = "\u2212"
NOTHING: Final = "\u2013"
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def rendered(template: str, **values: Any) -> str:
    """Return a template's text; a name that it is not given is an error."""
    return environment().get_template(template).render(**values)


def number(value: int) -> str:
    """Return a whole number with its thousands grouped: 12,345; a negative one has a minus sign."""
    return f"{value:,}".replace("-", MINUS)


def money(amount: dict[str, Any] | None) -> str:
    """Return money as people write it: 12,345.00 USD."""
    if amount is None:
        return NOTHING
    value, decimals = major(amount), minor_digits(amount["currency"])
    return f"{value:,.{decimals}f} {amount['currency']}".replace("-", MINUS)


def plain_money(amount: dict[str, Any]) -> str:
    """Return money as a field has it: 12345.00."""
    return money(amount).removesuffix(f" {amount['currency']}").replace(",", "")


def major(amount: dict[str, Any]) -> Decimal:
    """Return money in its currency's main unit: 12.34 of 1234 cents."""
    return Decimal(amount["amount_minor"]).scaleb(-minor_digits(amount["currency"]))


def time(value: str | None) -> Markup:
    """Return a moment: in UTC, until a script writes it in the reader's own zone."""
    if not value:
        return escape(NOTHING)
    at = datetime.fromisoformat(value).astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC" data-local>{} UTC</time>').format(
        value, f"{at:%Y-%m-%d %H:%M:%S}", f"{at:%Y-%m-%d %H:%M}"
    )


def day(value: str | date) -> str:
    """Return a date: 31 January 2026."""
    found = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    return f"{found.day} {found:%B %Y}"


def words(value: str) -> str:
    """Return a code as people read it: `TIMED_OUT` is Timed out."""
    return value.replace("_", " ").capitalize()


def markdown(text: str) -> Markup:
    """Return untrusted Markdown as HTML: no HTML of its own, no images, links that go nowhere odd.

    Its headings begin below those of the page.
    """
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("rel", "noopener noreferrer nofollow")
    # markdown-it escapes everything that it was given.
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))  # noqa: S704 - see above


def data(value: Any) -> Markup:
    """Return a value as JSON that can stand in an attribute with single quotes, or in a script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # What could end the attribute or the element is written as an escape of JSON's.
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - see above


def pretty(value: Any) -> str:
    """Return a value as JSON that people can read."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def with_query(path: str, **parameters: Any) -> str:
    """Return an address with those parameters that have a value."""
    given = {
        name.rstrip("_"): value
        for name, value in parameters.items()
        if value is not None and value != ""
    }
    return f"{path}?{urlencode(given)}" if given else path


@cache
def environment() -> Environment:
    """Return what templates are made with: everything is escaped, every name must be given."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.do"],
    )
    made.filters.update(
        number=number,
        money=money,
        plain_money=plain_money,
        time=time,
        day=day,
        words=words,
        markdown=markdown,
        data=data,
        pretty=pretty,
    )
    made.globals.update(asset=address_of, navigation=navigation, with_query=with_query)
    return made
