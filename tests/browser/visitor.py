"""Somebody's browser: a window with a session of its own, and what went wrong in it."""

from dataclasses import dataclass, field
from typing import Final, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.e2e.person import Person

WAIT_MS_MAX: Final = 20_000
HEIGHT: Final = 900
_REFUSED: Final = "Failed to load resource"
"""What Chromium says of any answer of 4xx, which a test may well provoke."""


@dataclass
class Visitor:
    """A browser's window; `complaints` are its errors, broken policies among them."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, browser: Browser, url: str, *, width: int, scripts: bool, dark: bool) -> Self:
        """Open a window on nothing."""
        context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": HEIGHT},
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            timezone_id="Europe/Vienna",
            locale="en-GB",
        )
        context.set_default_timeout(WAIT_MS_MAX)
        visitor = cls(context, context.new_page(), url)
        visitor._listen(visitor.page)
        context.on("page", visitor._listen)
        return visitor

    def take_session_of(self, person: Person) -> None:
        """Be somebody who has signed in, in the same session."""
        self.context.add_cookies(
            [
                {"name": each.name, "value": each.value or "", "url": self.url}
                for each in person.client.cookies.jar
            ]
        )

    def goes_to(self, path: str) -> Page:
        """Open a page, and return it."""
        self.page.goto(path)
        return self.page

    def close(self) -> None:
        """Close the window."""
        self.context.close()

    def _listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_REFUSED):
            self.complaints.append(f"{message.page.url if message.page else ''}: {message.text}")


def barriers(page: Page) -> list[str]:
    """Return what keeps people with disabilities from using a page, by axe's rules."""
    results = Axe().run(page)
    return [
        f"{violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


def looks(page: Page, *, width: int, dark: bool) -> None:
    """Have an open page looked at in a window of another width, and by who likes it dark or not.

    Without motion, as nobody waits for colours that pass into others.
    """
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    width: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width
