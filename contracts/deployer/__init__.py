"""What the deployer service says."""
