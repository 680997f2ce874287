"""The whole system, as `tollgate up` runs it, used over HTTP and from the command line alone."""
