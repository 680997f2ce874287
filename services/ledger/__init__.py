"""The ledger: every movement of credits.

Decides: what happens to a wallet, in the stream `wallet-<user id>`: credits come in as lots, are
held as exact slices of lots for one build, are spent or given back, expire, are taken away.

Publishes: `credits_awarded`, `credits_purchased`, `hold_placed`, `hold_refused`, `hold_settled`,
`hold_released`, `credits_expired`, `credits_adjusted`, `request_refused`.

Consumes: the gateway's requests for awards, recorded purchases and adjustments; its users and
settings; the deployer's deployments, which ask for holds and tell how their builds end.
"""
