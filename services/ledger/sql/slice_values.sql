-- Every fact whose recorded true revenue is not what its slices are worth: no row in a sound
-- ledger. A slice of credits `a` to `b` of a purchase of `c` credits for a price `p` is worth
-- floor(p × b / c) - floor(p × a / c); awarded credits are worth nothing.
--
-- `facts` holds the rows of all segments. Written for DuckDB: `//` divides whole numbers and
-- rounds down, hugeint has 128 bits, and unnest opens a list.
with slices as (
    select f.user_id, f.version, f.fact, f.true_revenue_minor, unnest(f.slices) as s
    from facts f
    where f.fact is not null and len(f.slices) > 0
),

worth as (
    select
        user_id,
        version,
        fact,
        true_revenue_minor,
        case
            when s.lot_kind <> 'purchase' then 0
            else
                s.lot_price_minor::hugeint * s.end_credit // s.lot_credits
                - s.lot_price_minor::hugeint * s.first_credit // s.lot_credits
        end
        * case s.fate when 'spent' then 1 when 'returned' then -1 when 'reversed' then -1 else 0 end
            as value_minor
    from slices
)
select user_id, version, fact, true_revenue_minor, sum(value_minor) as by_slices
from worth
group by user_id, version, fact, true_revenue_minor
having sum(value_minor) <> true_revenue_minor
order by user_id, version
