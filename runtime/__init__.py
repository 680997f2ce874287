"""Machinery without a business word: streams of facts, outbox, inbox, bus, process life.

Nothing here knows a credit or a deployment. It may import the envelope and the base of messages
from `contracts`, and nothing else of them.
"""
