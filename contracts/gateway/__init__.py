"""What the gateway service says."""
