-- Every settlement and release that does not end one open hold with exactly that hold's parts, or
-- ends one that was ended before: no row in a sound ledger. With `running_minimum.sql`, which
-- checks the parts of a hold as it is placed, it checks the parts of every settlement.
--
-- `facts` holds the rows of all segments, up to the instant that is asked about.
with ended as (
    select
        f.*,
        row_number() over (partition by f.hold_id order by f.version) as number
    from facts f
    where f.fact in ('hold_settled', 'hold_released')
)
select e.user_id, e.version, e.fact, e.hold_id
from ended e
left join facts p on p.hold_id = e.hold_id and p.fact = 'hold_placed'
where
    e.number > 1
    or p.hold_id is null
    or p.user_id <> e.user_id
    or p.version > e.version
    or p.awarded_held_moved + e.awarded_held_moved <> 0
    or p.purchased_held_moved + e.purchased_held_moved <> 0
order by e.user_id, e.version
