"""What projects cost: credits that were spent on their deployments, less those given back."""

import json
from datetime import datetime
from typing import Any

from runtime.connection import Connection


async def list_project_costs(
    connection: Connection,
    user_id: str,
    *,
    begin: datetime | None,
    end: datetime | None,
    after: tuple[bool, str] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return a user's projects in the order of their names, what is in no project last.

    A month is the UTC month in which credits were spent or given back. The project of an erased
    deployment is not known any more, so its credits are in none.
    """
    rows = await connection.fetch(
        """with months as (
               select d.project, to_char(h.at at time zone 'UTC', 'YYYY-MM') as month,
                      -sum(h.awarded_delta + h.purchased_delta)::bigint as credits,
                      array_agg(distinct h.deployment_id) as deployment_ids
               from credit_history h left join deployments d using (deployment_id)
               where h.user_id = $1 and h.type in ('SPEND', 'REFUND')
                 and h.deployment_id is not null
                 and ($2::timestamptz is null or h.at >= $2)
                 and ($3::timestamptz is null or h.at < $3)
               group by d.project, month)
           select project, sum(credits)::bigint as credits,
                  (select count(distinct id) from months o, unnest(o.deployment_ids) as id
                   where o.project is not distinct from m.project) as deployments,
                  jsonb_agg(jsonb_build_object('month', month, 'credits', credits,
                                               'deployments', cardinality(deployment_ids))
                            order by month) as by_month
           from months m
           where $4::boolean is null or (project is null, coalesce(project, '')) > ($4, $5)
           group by project
           order by project is null, coalesce(project, '') limit $6""",
        user_id,
        begin,
        end,
        *(after or (None, None)),
        limit,
    )
    return [{**dict(row), "by_month": json.loads(row["by_month"])} for row in rows]
