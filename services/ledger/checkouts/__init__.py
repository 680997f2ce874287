"""Checkouts: credits bought through Stripe.

A checkout is a stream of its own, `checkout-<id>`; what it brings into the wallet is a purchase
whose lot has the checkout's id, so that it is booked once, whatever happens. Handlers ask nothing
of Stripe: they write down what is to be done (`jobs`), and one replica at a time does it
(`worker`), by one function that brings a checkout up to what Stripe says of it (`syncing`). A
webhook, a returning browser and the sweep only say *which* checkout to look at.
"""
