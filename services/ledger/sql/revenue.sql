-- True revenue and shares by user, module, partner, agent and month: one row for each group of
-- each kind. Entitlements are exact, in ten-thousandths of a minor unit of money; what somebody is
-- due is the sum of theirs, rounded down once. A group without a name is what belongs to nobody.
--
-- `facts` holds the rows of all segments, up to the instant that is asked about. Months are UTC,
-- 202603 for March 2026.
with counted as (
    select
        f.user_id,
        f.module_id,
        f.partner_id,
        f.agent_id,
        cast(f.month as varchar) as in_month,
        case when f.fact = 'hold_settled' then 1 else 0 end as settlement,
        f.awarded_spent,
        f.purchased_spent,
        cast(f.true_revenue_minor as decimal(38, 0)) as true_revenue_minor,
        cast(f.partner_basis_points as decimal(38, 0)) as partner_basis_points,
        cast(f.agent_basis_points as decimal(38, 0)) as agent_basis_points
    from facts f
    where
        f.fact in ('hold_settled', 'settlement_refunded', 'settlement_reversed', 'debt_repaid')
)
select
    case
        when grouping(c.user_id) = 0 then 'user'
        when grouping(c.module_id) = 0 then 'module'
        when grouping(c.partner_id) = 0 then 'partner'
        when grouping(c.agent_id) = 0 then 'agent'
        else 'month'
    end as grouped_by,
    coalesce(c.user_id, c.module_id, c.partner_id, c.agent_id, c.in_month) as name,
    sum(c.settlement) as settlements,
    sum(c.awarded_spent) as awarded_spent,
    sum(c.purchased_spent) as purchased_spent,
    sum(c.true_revenue_minor) as true_revenue_minor,
    sum(c.true_revenue_minor * c.partner_basis_points) as partner_entitlement,
    sum(c.true_revenue_minor * c.agent_basis_points) as agent_entitlement
from counted c
group by
    grouping sets ((c.user_id), (c.module_id), (c.partner_id), (c.agent_id), (c.in_month))
order by grouped_by, name
