-- What refunds, disputes and debts add to wallets, lots and holds.

alter table wallets
    add column awarded_frozen bigint not null default 0,
    add column purchased_frozen bigint not null default 0,
    add column debt bigint not null default 0;

alter table credit_history
    add column awarded_frozen bigint not null default 0,
    add column purchased_frozen bigint not null default 0,
    add column debt bigint not null default 0;

-- `voided` credits were paid back to whoever bought them.
alter table lots
    add column voided bigint not null default 0,
    add column disputes_open bigint not null default 0,
    add column bonus_of text;

alter table holds add column refunded bigint not null default 0;
