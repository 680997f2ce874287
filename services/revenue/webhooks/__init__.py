"""Webhooks: payees' endpoints, which are told of each thing that they earn.

`decider.py` holds the rules, `queue.py` what waits to be sent, in the same transaction as what it
tells of, and `sender.py` sends it: at least once, from as many processes as there are.
"""
