-- Months as revenue closes them, and the statements of their payees. Amounts are in minor units.

create table months (
    period text primary key,
    attested_at timestamptz,
    recognized_minor bigint,
    reversed_minor bigint,
    statements bigint,
    payable_minor bigint,
    verified_facts bigint,
    closed_by text,
    closed_at timestamptz
);
create table statements (
    statement_id text primary key,
    payee_id text not null,
    period text not null,
    since timestamptz not null,
    until timestamptz not null,
    currency text not null,
    opening_minor bigint not null,
    accrued_minor bigint not null,
    reversed_minor bigint not null,
    adjustments_minor bigint not null,
    balance_minor bigint not null,
    disputed_minor bigint not null,
    payable_minor bigint not null,
    carried_forward_minor bigint not null,
    lines bigint not null,
    first_sequence bigint not null,
    last_sequence bigint not null,
    lines_digest text not null,
    fact_hash text,
    closed_by text not null,
    closed_at timestamptz not null
);
create index statements_by_period on statements (period, payee_id);
create index statements_of_payee on statements (payee_id, period);
grant select, insert, update, delete on months, statements to {service};
