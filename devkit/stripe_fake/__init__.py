"""A Stripe of our own on this machine: payments without an account, and Stripe's bad days at will.

A server of its own that Stripe's SDK talks to over HTTP. It answers the calls that Tollgate makes,
with objects and errors in Stripe's shapes; keeps everything in one file; signs webhooks as Stripe
does and delivers them with retries; has a page to pay on; and can be told to misbehave. No service
imports it. What it does not imitate is listed in docs/stripe.md.
"""
