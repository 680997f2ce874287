"""The catalogue with real Git, a real Postgres, and a Git host of our own over HTTP."""
