"""The gateway's read models. Each says, of one change, which statements it brings.

A statement is keyed by what it is about, and all that changes one row comes from one stream, or
adds up: so the tables are the same in whatever order streams arrive.
"""
