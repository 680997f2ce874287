"""Recomputing everything from the facts: the chain, the decisions, the balances, the revenue."""
