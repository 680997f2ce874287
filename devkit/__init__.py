"""The embedded environment: a real Postgres and NATS from wheels, and what starts the services.

`tollgate up` and the tests use it. Nothing here is needed where the servers run elsewhere.
"""
