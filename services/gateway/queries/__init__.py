"""What the API reads, each with its SQL."""
