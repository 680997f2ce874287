-- Months that the ledger attested, and the statements of closed ones; and which message of its wallet
-- a line follows from, so that the ledger's facts can be counted.

alter table revenue_lines add column wallet_sequence bigint not null default 0;
alter table revenue_lines alter column wallet_sequence drop default;
create index payee_lines_by_time on payee_lines (recognized_at, payee_id);

create table months (
    period text primary key,
    attested_at timestamptz not null,
    closed_at timestamptz
);
create table statements (
    statement_id text primary key,
    payee_id text not null,
    period text not null,
    payable_minor bigint not null,
    carried_forward_minor bigint not null,
    currency text not null,
    unique (payee_id, period)
);
grant select, insert, update, delete on months, statements to {service};
