-- What refunds, disputes and debts add to the read models.

alter table balances
    add column awarded_frozen bigint not null default 0 check (awarded_frozen >= 0),
    add column purchased_frozen bigint not null default 0 check (purchased_frozen >= 0),
    add column debt bigint not null default 0 check (debt >= 0);

-- `voided` credits were refunded to whoever paid; spent ones that were reversed are counted here.
alter table lots
    add column voided bigint not null default 0 check (voided >= 0),
    add column refunded_minor bigint not null default 0,
    add column disputes_open bigint not null default 0 check (disputes_open >= 0),
    add column bonus_of text,
    add column payment_id text,
    drop constraint lots_conserve_credits,
    add constraint lots_conserve_credits
        check (free + held + spent + expired + adjusted + voided = credits),
    add constraint lots_refund_no_more_than_was_paid
        check (refunded_minor between 0 and price_minor);
create index lots_by_payment on lots (payment_id) where payment_id is not null;

alter table holds
    add column refunded bigint not null default 0,
    add constraint holds_refund_no_more_than_they_cost check (refunded between 0 and cost);

alter table history
    add column awarded_frozen_after bigint not null default 0,
    add column purchased_frozen_after bigint not null default 0,
    add column debt_after bigint not null default 0,
    drop constraint history_type_check,
    add constraint history_type_check check (
        type in ('AWARD', 'PURCHASE', 'HOLD', 'RELEASE', 'SPEND', 'EXPIRY', 'ADJUSTMENT',
                 'REFUND', 'PURCHASE_REFUND', 'REVERSAL', 'DEBT_REPAYMENT', 'DISPUTE'));
