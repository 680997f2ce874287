"""Revenue: who earned what.

Decides: what a settled hold earned (true revenue), in the stream `revenue-<deployment id>`, and
what of it each payee is due, in the stream `payee-<payee id>`, whose every line has a gapless
sequence and a running total.

Publishes: `revenue_recognized`, `share_accrued`.

Consumes: the ledger's wallets. A settlement carries all that its revenue depends on, so nothing
else is asked for, and everything here can be recomputed from the ledger's messages alone.
"""
