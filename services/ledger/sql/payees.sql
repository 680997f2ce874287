-- What every partner and every agent is entitled to, in ten-thousandths of a minor unit of money,
-- and what they are due of it: rounded down once, over all that they ever earned.
--
-- `facts` holds the rows of all segments, up to the instant that is asked about.
with earned as (
    select
        'partner' as payee_role,
        f.partner_id as payee_id,
        cast(f.true_revenue_minor as decimal(38, 0)) * f.partner_basis_points as entitlement
    from facts f
    where f.partner_basis_points > 0
    union all
    select
        'agent' as payee_role,
        f.agent_id as payee_id,
        cast(f.true_revenue_minor as decimal(38, 0)) * f.agent_basis_points as entitlement
    from facts f
    where f.agent_basis_points > 0
)
select
    e.payee_role,
    e.payee_id,
    sum(e.entitlement) as entitlement,
    floor(sum(e.entitlement) / 10000) as due_minor
from earned e
group by e.payee_role, e.payee_id
order by e.payee_role, e.payee_id
