-- Every wallet's balance: what its facts moved, and beside it what its last fact recorded.
-- `difference` counts the parts in which the two are not the same; it is 0 in a sound ledger.
--
-- `facts` holds the rows of all segments, up to the instant that is asked about.
with moved as (
    select
        f.user_id,
        max(f.version) as version,
        sum(f.awarded_moved) as awarded,
        sum(f.purchased_moved) as purchased,
        sum(f.awarded_held_moved) as awarded_held,
        sum(f.purchased_held_moved) as purchased_held,
        sum(f.debt_moved) as debt
    from facts f
    where f.fact is not null
    group by f.user_id
)
select
    m.user_id,
    m.version,
    m.awarded,
    m.purchased,
    m.awarded_held,
    m.purchased_held,
    l.awarded_frozen_after as awarded_frozen,
    l.purchased_frozen_after as purchased_frozen,
    m.debt,
    case when m.awarded = l.awarded_after then 0 else 1 end
    + case when m.purchased = l.purchased_after then 0 else 1 end
    + case when m.awarded_held = l.awarded_held_after then 0 else 1 end
    + case when m.purchased_held = l.purchased_held_after then 0 else 1 end
    + case when m.debt = l.debt_after then 0 else 1 end as difference
from moved m
join facts l on l.user_id = m.user_id and l.version = m.version and l.fact is not null
order by m.user_id
