"""What the catalog service says."""
