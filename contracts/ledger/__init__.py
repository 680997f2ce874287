"""What the ledger service says."""
