"""The catalogue's read models."""
