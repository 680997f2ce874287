-- A settlement may have more than one line: what is reversed and what is paid again stand in lines
-- of their own, and shares name theirs. Disputed lots make what was earned from them not payable.

alter table revenue_lines
    add column kind text not null default 'settled'
        check (kind in ('settled', 'repaid', 'settlement_refunded', 'settlement_reversed')),
    add column reverses bigint,
    -- Whether nothing is left of what the line earned.
    add column reversed boolean not null default false,
    -- The purchases that it earned from.
    add column lots text[] not null default '{}';
alter table revenue_lines alter column kind drop default, alter column lots drop default;
create index revenue_lines_of_lot on revenue_lines using gin (lots);

alter table payee_lines
    add column line bigint not null default 1,
    add column reverses bigint;
alter table payee_lines alter column line drop default;

create table disputes (
    dispute_id text primary key,
    lot_id text not null,
    user_id text not null,
    amount_minor bigint not null,
    currency text not null,
    opened_at timestamptz not null,
    outcome text check (outcome in ('WON', 'LOST')),
    closed_at timestamptz
);
create index disputes_open on disputes (lot_id) where outcome is null;
grant select, insert, update, delete on disputes to {service};
