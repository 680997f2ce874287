"""Revenue's rules, as tables and as properties."""
