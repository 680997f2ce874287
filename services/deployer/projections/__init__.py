"""The deployer's read models."""
