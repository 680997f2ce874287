"""Revenue on a real database."""
