"""Months: when one is over the ledger attests what happened in it, and nothing happens in it again.

`rules` decides, `figures` counts, `examination` reads and verifies, `attesting` does it by the
clock and by command.
"""
