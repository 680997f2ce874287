"""Each build, for the scheduler and for the runner that is given it."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from runtime.projector import Change
from runtime.store import Recorded
from services.deployer.events import (
    BuildCancelled,
    BuildEnd,
    BuildFailed,
    BuildQueued,
    BuildReassigned,
    BuildStarted,
    BuildSucceeded,
    BuildTimedOut,
    CancelRequested,
    DestroyQueued,
    Inputs,
    UpdateQueued,
)


class Builds:
    """One row a build, and one for each deployment that rests; a build's lock ends with it."""

    name = "builds"
    tables = ("builds", "resting")

    async def apply(self, connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
        """Write what each fact of a deployment says of its build."""
        for change in changes:
            if not isinstance(change, Recorded):
                continue
            match change.fact:
                case BuildQueued() as fact:
                    await _queue(connection, change, fact, fact.request.inputs)
                case UpdateQueued() | DestroyQueued() as fact:
                    await _queue(connection, change, fact, fact.inputs)
                case BuildStarted() as fact:
                    await connection.execute(
                        """update builds set status = 'RUNNING', attempt = $2, started_at = $3
                           where build_id = $1""",
                        fact.build_id,
                        fact.attempt,
                        change.at,
                    )
                case BuildReassigned() as fact:
                    await connection.execute(
                        "update builds set attempt = $2, started_at = $3 where build_id = $1",
                        fact.build_id,
                        fact.attempt,
                        change.at,
                    )
                case CancelRequested() as fact:
                    await connection.execute(
                        "update builds set cancel_requested = true where build_id = $1",
                        fact.build_id,
                    )
                case BuildSucceeded() | BuildFailed() | BuildCancelled() | BuildTimedOut() as fact:
                    await connection.execute(
                        "update builds set status = 'ENDED', ended_at = $2 where build_id = $1",
                        fact.build_id,
                        change.at,
                    )
                    await connection.execute(
                        "delete from state_locks where build_id = $1", fact.build_id
                    )
                    await _rest(connection, change, fact)
                case _:
                    pass


async def _rest(connection: asyncpg.Connection, change: Recorded[Any], fact: BuildEnd) -> None:
    await connection.execute(
        """insert into resting (deployment_id, build_id, since, owns_resources)
           values ($1, $2, $3, $4)
           on conflict (deployment_id) do update
           set build_id = excluded.build_id, since = excluded.since,
               owns_resources = excluded.owns_resources""",
        change.stream.partition("-")[2],
        fact.build_id,
        change.at,
        fact.owns_resources,
    )


async def _queue(
    connection: asyncpg.Connection,
    change: Recorded[Any],
    fact: BuildQueued | UpdateQueued | DestroyQueued,
    inputs: Inputs,
) -> None:
    deployment_id = change.stream.partition("-")[2]
    await connection.execute("delete from resting where deployment_id = $1", deployment_id)
    await connection.execute(
        """insert into builds (build_id, deployment_id, user_id, action, status, archive_digest,
                               archive_folder, repository, commit, variables, sensitive, queued_at)
           values ($1, $2, $3, $4, 'QUEUED', $5, $6, $7, $8, $9, $10, $11)""",
        fact.build_id,
        deployment_id,
        fact.user_id,
        fact.action,
        inputs.source.archive_digest,
        inputs.source.archive_folder,
        inputs.source.repository,
        inputs.source.commit,
        inputs.terraform_variables,
        list(inputs.sensitive),
        change.at,
    )
