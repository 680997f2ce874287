"""Claims about the pages, in a real browser, on a running system."""
