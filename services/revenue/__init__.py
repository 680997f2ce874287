"""Revenue: who earned what.

Decides: what a settled hold earned (true revenue), and what of it is reversed or paid again, in
the stream `revenue-<deployment id>`; what of it each payee is due or gives back, in the stream
`payee-<payee id>`, whose every line has a gapless sequence and a running total; and whether it is
payable, in `dispute-<dispute id>`; when a month is closed, in `month-<period>`, with one sealed
`statement-<period>-<payee id>` for each payee. Payees' webhooks and how they are sent are in
`webhook-<owner id>`: see `webhooks/`.

Publishes: `revenue_recognized`, `revenue_reversed`, `share_accrued`, `share_reversed`,
`statement_closed`, `period_closed`, `webhook_…`.

Consumes: the ledger's wallets and attested months, requests, and users, as who is no payee any more
is told nothing. A settlement carries all that its revenue depends on, so nothing else is asked for,
and every figure here can be recomputed from the ledger's messages alone.
"""
