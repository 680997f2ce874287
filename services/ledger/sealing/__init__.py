"""Sealing: facts leave the database as immutable, signed segments, and are checked against them.

A segment is a Parquet file of facts and a signed manifest that names its content and the manifest
before it. `sealer` makes them, `audit` checks them, `export` hands them on; `docs/ledger-format.md`
describes them for whoever checks them with a program of their own.
"""
