"""Rows of secrets: encrypted under the master key, and gone when they are taken away."""

from datetime import datetime

from runtime.connection import Connection


async def keep_secret(
    connection: Connection, name: str, ciphertext: str | None, at: datetime
) -> None:
    """Keep a secret of the platform's, encrypted; None takes it away."""
    if ciphertext is None:
        await connection.execute("delete from secrets where name = $1", name)
        return
    await connection.execute(
        """insert into secrets (name, ciphertext, changed_at) values ($1, $2, $3)
           on conflict (name) do update
           set ciphertext = excluded.ciphertext, changed_at = excluded.changed_at""",
        name,
        ciphertext,
        at,
    )


async def read_secret(connection: Connection, name: str) -> str | None:
    """Return a secret of the platform's, encrypted, or nothing."""
    ciphertext: str | None = await connection.fetchval(
        "select ciphertext from secrets where name = $1", name
    )
    return ciphertext


async def destroy_data_key(connection: Connection, deployment_id: str) -> None:
    """Erase, wherever they are, the variables and outputs that only this key opens."""
    await connection.execute("delete from data_keys where id = $1", deployment_id)


async def keep_data_key(connection: Connection, deployment_id: str, wrapped: str) -> None:
    """Keep the key to a deployment's variables and outputs, wrapped."""
    await connection.execute(
        "insert into data_keys (id, wrapped) values ($1, $2) on conflict do nothing",
        deployment_id,
        wrapped,
    )
