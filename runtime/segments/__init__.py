"""Segments: facts leave a database as immutable, signed files, and are checked against them.

A segment is a Parquet file of facts and a signed manifest that names its content and the manifest
before it. `sealer` makes them, `audit` and `verification` check them, `export` hands them on.
Whose facts they are, and which columns stand beside them, is an `Origin`. `docs/ledger-format.md`
describes segments for whoever checks them with a program of their own.
"""
