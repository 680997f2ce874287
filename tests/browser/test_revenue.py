"""Revenue in a browser: what partners and agents see of theirs, and nothing of others'."""

import csv
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any, Final

from playwright.sync_api import expect
from typing_extensions import override

from tests.browser.conftest import SignIn
from tests.browser.earning import Earning
from tests.browser.visitor import barriers, overflow

NARROW: Final = 360
ANSWER_SECONDS_MAX: Final = 30.0
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404


@contextmanager
def receiver() -> Iterator[tuple[str, "Queue[dict[str, Any]]"]]:
    """Run a partner's own program: an address, and what arrives there."""
    arrived: Queue[dict[str, Any]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            arrived.put({**json.loads(body), "webhook-id": self.headers["webhook-id"]})
            self.send_response(204)
            self.end_headers()

        @override
        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/tollgate", arrived
        server.shutdown()
        thread.join()


def test_a_partner_sees_each_line_and_opens_it_down_to_its_events(
    signs_in: SignIn, earned: Earning
) -> None:
    page = signs_in(earned.partner).goes_to("/revenue")
    rows = page.locator("#list table.cards tbody tr").filter(has_text="status-page")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Refund, takes back of line 1")
    expect(rows.first).to_contain_text("\u22121.50 USD")
    expect(rows.last).to_contain_text("7.50 USD")
    expect(page.locator("#list tfoot")).to_contain_text("20.00 USD")
    expect(page.locator("#list tfoot")).to_contain_text("6.00 USD")

    rows.last.get_by_role("link", name="status-page").click()
    expect(page.get_by_text("and agrees with what was recorded")).to_be_visible()
    line = page.locator("#line-1")
    expect(line).to_contain_text("25 were purchased")
    expect(line).to_contain_text("floor(10000 x 25 / 100) - floor(10000 x 0 / 100)")
    expect(line).to_contain_text("30.00 %")
    expect(page.get_by_text(earned.buyer.email)).to_have_count(0)
    page.get_by_text("Hold settled").click()
    expect(page.locator("details[open] dd code").last).to_have_text(re.compile("^[0-9a-f]{64}$"))


def test_the_csv_comes_to_the_totals_of_the_table(
    signs_in: SignIn, earned: Earning, tmp_path: Path
) -> None:
    page = signs_in(earned.partner).goes_to("/revenue")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download CSV").click()
    assert downloading.value.suggested_filename == "module-revenue.csv"
    downloading.value.save_as(tmp_path / "lines.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "lines.csv").read_text())))
    assert [line["deployment_id"] for line in lines] == [earned.deployment_id] * 2
    total = sum(int(line["true_revenue_minor"]) for line in lines)
    expect(page.locator("#list tfoot")).to_contain_text(f"{total / 100:.2f} USD")


def test_dates_filter_as_they_are_entered_and_bad_ones_say_so(
    signs_in: SignIn, earned: Earning
) -> None:
    page = signs_in(earned.partner).goes_to("/revenue")
    page.get_by_label("Recognized from").fill("2020-01-01")
    page.get_by_label("To, that day included").fill("2020-12-31")
    expect(page.get_by_text("Nothing in this selection")).to_be_visible()
    expect(page).to_have_url(re.compile("from=2020-01-01&to=2020-12-31"))
    page.get_by_label("Recognized from").fill("2021-01-01")
    expect(page.get_by_role("alert")).to_contain_text("is after")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#list tfoot")).to_be_visible()


def test_what_is_anothers_is_not_there(signs_in: SignIn, earned: Earning) -> None:
    partner = signs_in("partner")
    page = partner.goes_to("/revenue")
    expect(page.locator("#list")).not_to_contain_text("status-page")
    for visitor, path, status in (
        (partner, f"/revenue/explain/{earned.deployment_id}", NOT_FOUND),
        (partner, f"/billing/credits/{earned.buyer.id}", FORBIDDEN),
        (partner, "/revenue/users", FORBIDDEN),
        (signs_in("user"), "/revenue", FORBIDDEN),
        (signs_in("support"), "/ledger", FORBIDDEN),
    ):
        answer = visitor.page.goto(path)
        assert answer is not None
        assert answer.status == status
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()


def test_an_agent_sees_whom_they_referred_and_what_it_earned_them(
    signs_in: SignIn, earned: Earning
) -> None:
    page = signs_in(earned.agent).goes_to("/revenue")
    page.get_by_label("E-mail or name").press_sequentially("bert@")
    expect(page.locator("#list table.cards tbody tr")).to_have_count(1)
    row = page.locator("#list table.cards tbody tr")
    expect(row).to_contain_text(earned.buyer.email)
    expect(row).to_contain_text("20.00 USD")
    expect(row).to_contain_text("1.00 USD")
    answer = page.goto(f"/revenue/explain/{earned.deployment_id}")
    assert answer is not None
    assert answer.ok
    expect(page.get_by_text("30.00 %")).to_have_count(0)
    expect(page.locator("#line-1")).to_contain_text("5.00 %")


def test_a_webhook_lives_by_clicking(signs_in: SignIn, earned: Earning) -> None:
    page = signs_in(earned.partner, width=NARROW).goes_to("/revenue")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("link", name="Add a webhook").first.click()
    page.get_by_label("Address").fill("http://books.example.com/")
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    with receiver() as (address, arrived):
        page.get_by_label("Address").fill(address)
        page.get_by_label("A share was taken back").uncheck()
        page.get_by_label("Description").fill("Our books")
        page.get_by_role("button", name="Add the webhook").click()
        expect(page.locator(".secret code")).to_have_text(re.compile(r"^whsec_\S{40,}$"))
        assert barriers(page) == []
        secret = page.locator(".secret code").inner_text()
        page.get_by_role("link", name="I have kept it").click()
        expect(page.get_by_label("A share was taken back")).not_to_be_checked()

        page.get_by_role("button", name="Send a test event").click()
        first = arrived.get(timeout=ANSWER_SECONDS_MAX)
        assert first["type"] == "webhook.test"
        row = page.locator("#standing tbody tr")
        expect(row).to_contain_text("Delivered")
        page.get_by_role("button", name="Resend webhook.test").click()
        assert arrived.get(timeout=ANSWER_SECONDS_MAX)["webhook-id"] == first["webhook-id"]

        page.get_by_role("button", name="Rotate the secret").click()
        assert page.locator(".secret code").inner_text() != secret
        page.get_by_role("link", name="I have kept it").click()
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("button", name="Send a test event")).to_be_disabled()
        page.get_by_role("button", name="Enable it again").click()
        expect(page.get_by_text("What waited is being sent.")).to_be_visible()
        assert barriers(page) == []
        assert overflow(page) == 0
        page.get_by_text("Delete this webhook").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_text("The webhook is deleted.")).to_be_visible()
        expect(page.get_by_text("No webhooks yet")).to_be_visible()
