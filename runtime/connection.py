"""A connection to Postgres, of a pool or not: they can do the same."""

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection = asyncpg.Connection | PoolConnectionProxy
