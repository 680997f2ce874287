"""The pages: HTML for people, rendered here from what the API answers.

A page is a client of the API. It asks in-process, with its visitor's own session, so that it can
show and do nothing that the API would not. Every page works without scripts for reading and for
simple forms; htmx and a few scripts of our own make it quick and live.
"""
