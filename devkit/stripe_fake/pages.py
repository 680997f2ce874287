"""What a browser sees: a page to pay on, and one of all payments and what can become of them."""

from html import escape
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from devkit.stripe_fake.payments import Payments
from devkit.stripe_fake.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

Object = dict[str, Any]
SHOWN_MAX: Final = 50
_DIGITS_NONE: Final = ("jpy", "krw", "vnd", "clp", "xaf", "xof", "pyg", "ugx")

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
form { display: inline } button { font: inherit; padding: .4rem .8rem; margin: .2rem .2rem .2rem 0 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem;
border-bottom: 1px solid #ddd; vertical-align: top } .note { background: #fff3cd; padding: .6rem }
code { font-size: .85em }
"""


class Pages:
    """The pages of the fake."""

    def __init__(self, store: Store, payments: Payments) -> None:
        self._store = store
        self._payments = payments

    def routes(self) -> list[web.RouteDef]:
        """Return the pages, and what their buttons do."""
        return [
            web.get("/", self._overview),
            web.get("/pay/{id}", self._pay_page),
            web.post("/pay/{id}/{action}", self._pay),
            web.post("/do/{action}/{id}", self._do),
        ]

    async def _pay_page(self, request: web.Request) -> web.Response:
        self._payments.expire_overdue()
        session = self._payments.session(request.match_info["id"])
        amount = money(session["amount_total"], session["currency"])
        if session["status"] != "open":
            back = escape(session["success_url"])
            return _page(f"<h1>{amount}</h1><p>{_stand(session)}</p><a href='{back}'>Back</a>")
        buttons = "".join(
            _button(f"/pay/{session['id']}/{action}", label)
            for action, label in (
                ("pay", f"Pay {amount}"),
                ("pay_later", "Pay by bank debit, which takes days"),
                ("decline", "Pay with a card that is declined"),
                ("cancel", "Cancel"),
            )
        )
        declined = "<p class='note'>The card was declined.</p>" if session["payment_intent"] else ""
        return _page(f"<h1>{amount}</h1>{declined}<p>{buttons}</p>")

    async def _pay(self, request: web.Request) -> web.Response:
        session = self._payments.session(request.match_info["id"])
        match request.match_info["action"]:
            case "pay":
                self._payments.pay(session["id"])
                raise web.HTTPSeeOther(session["success_url"])
            case "pay_later":
                self._payments.pay_later(session["id"])
                raise web.HTTPSeeOther(session["success_url"])
            case "decline":
                self._payments.decline(session["id"])
                raise web.HTTPSeeOther(f"/pay/{session['id']}")
            case "cancel":
                raise web.HTTPSeeOther(session["cancel_url"] or session["success_url"])
            case _:
                raise web.HTTPNotFound

    async def _overview(self, _: web.Request) -> web.Response:
        rows = [
            self._row(session)
            for _, session in zip(
                range(SHOWN_MAX), self._store.newest_first("checkout.session"), strict=False
            )
        ]
        table = "".join(rows) or "<tr><td>Nobody has bought anything yet.</td></tr>"
        return _page(f"<h1>Payments</h1><table>{table}</table>")

    def _row(self, session: Object) -> str:
        return (
            f"<tr><td>{money(session['amount_total'], session['currency'])}<br>"
            f"<code>{escape(session['id'])}</code></td><td>{_stand(session)}</td>"
            f"<td>{''.join(self._buttons(session))}</td></tr>"
        )

    def _buttons(self, session: Object) -> list[str]:
        """Return what can become of a payment from where it stands."""
        id_ = session["id"]
        if session["status"] == "open":
            pay = f"<a href='/pay/{id_}'>Pay</a> "
            return [pay, _button(f"/do/expire/{id_}", "Expire")]
        intent = self._store.get(session["payment_intent"] or "")
        if intent is None:
            return []
        if intent["status"] == "processing":
            return [_button(f"/do/arrive/{id_}", "Arrive"), _button(f"/do/bounce/{id_}", "Bounce")]
        charge = self._store.get(intent["latest_charge"])
        if charge is None or not charge["paid"]:
            return []
        disputes = [d for d in self._store.newest_first("dispute") if d["charge"] == charge["id"]]
        if disputes and disputes[0]["status"] == "needs_response":
            of = disputes[0]["id"]
            return [_button(f"/do/win/{of}", "Win"), _button(f"/do/lose/{of}", "Lose")]
        said = "".join(f"dispute {escape(each['status'])} " for each in disputes)
        if charge["refunded"]:
            return [f"{said}refunded"]
        of = charge["id"]
        return [
            said,
            _button(f"/do/refund/{of}", "Refund"),
            _button(f"/do/dispute/{of}", "Dispute"),
        ]

    async def _do(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        acts: dict[str, Callable[[], Any]] = {
            "expire": lambda: self._payments.expire(id_),
            "arrive": lambda: self._payments.arrive(id_),
            "bounce": lambda: self._payments.bounce(id_),
            "refund": lambda: self._payments.refund(id_, None),
            "dispute": lambda: self._payments.dispute(id_, None),
            "win": lambda: self._payments.close_dispute(id_, won=True),
            "lose": lambda: self._payments.close_dispute(id_, won=False),
        }
        act = acts.get(request.match_info["action"])
        if act is None:
            raise web.HTTPNotFound
        act()
        raise web.HTTPSeeOther("/")


def money(amount: int, currency: str) -> str:
    """Return an amount of minor units as people read it; for show only."""
    code = escape(currency.upper())
    if currency in _DIGITS_NONE:
        return f"{amount} {code}"
    return f"{amount // 100}.{amount % 100:02} {code}"


def _stand(session: Object) -> str:
    return escape(f"{session['status']}, {session['payment_status']}")


def _button(action: str, label: str) -> str:
    return f"<form method='post' action='{escape(action)}'><button>{escape(label)}</button></form>"


def _page(content: str) -> web.Response:
    text = (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Payment (fake Stripe)</title>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style><p class='note'>This is no real payment: a fake of Stripe on this "
        f"machine, for development.</p>{content}</html>"
    )
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=text, content_type="text/html", headers=headers)
