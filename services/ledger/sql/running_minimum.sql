-- Every fact whose split of awarded and purchased credits is not the one that follows from a
-- running sum and a running minimum: no row in a sound ledger.
--
-- The sum, for one wallet, is of what its available awarded credits gain, less the whole cost of
-- each hold that may take awarded and purchased credits alike. What awarded credits could not
-- cover up to a fact is the negative of the least sum so far, or 0; what that grows by at a hold
-- is what the hold had to take of purchased credits. Everything else enters as it is recorded, and
-- can never make it grow. Neither lots nor slices nor the order in which they are burnt enter.
--
-- `facts` holds the rows of all segments, up to the instant that is asked about.
with steps as (
    select
        f.user_id,
        f.version,
        f.fact,
        f.hold_id,
        case when f.standard_cost > 0 then f.purchased_held_moved else 0 end as recorded,
        case
            when f.standard_cost > 0 then -f.standard_cost
            else
                f.awarded_moved - f.awarded_held_moved
                - (
                    f.awarded_frozen_after
                    - lag(f.awarded_frozen_after, 1, 0) over (
                        partition by f.user_id order by f.version
                    )
                )
        end as step
    from facts f
    where f.fact is not null
),

sums as (
    select
        s.*,
        sum(s.step) over (
            partition by s.user_id order by s.version
            rows between unbounded preceding and current row
        ) as running_sum
    from steps s
),

minima as (
    select
        s.*,
        least(
            0,
            min(s.running_sum) over (
                partition by s.user_id order by s.version
                rows between unbounded preceding and current row
            )
        ) as running_minimum
    from sums s
),

splits as (
    select
        m.*,
        lag(m.running_minimum, 1, 0) over (partition by m.user_id order by m.version)
        - m.running_minimum as purchased_part
    from minima m
)
select s.user_id, s.version, s.fact, s.hold_id, s.recorded, s.purchased_part
from splits s
where s.recorded <> s.purchased_part
order by s.user_id, s.version
