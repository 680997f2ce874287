"""The rules of the catalogue: one `decide` and one `evolve` for each kind of stream."""
