"""Revenue's read models, each with its SQL."""
