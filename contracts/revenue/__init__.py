"""What the revenue service says."""
