-- The ledger's read models. They are made from the facts, in the facts' own transaction, and may
-- be dropped and made again; `tollgate replay` compares them with what the facts come to.

-- One row for each wallet: its balance after its last fact.
create table balances (
    user_id text primary key,
    version bigint not null,
    awarded bigint not null,
    purchased bigint not null,
    awarded_held bigint not null check (awarded_held >= 0),
    purchased_held bigint not null check (purchased_held >= 0)
) with (fillfactor = 70);

-- One row for each lot: where its credits are. Together they are all of it.
create table lots (
    lot_id text primary key,
    user_id text not null,
    position bigint not null,
    kind text not null,
    credits bigint not null check (credits > 0),
    price_minor bigint not null check (price_minor >= 0),
    currency text not null,
    source text not null,
    granted_at timestamptz not null,
    expires_at timestamptz,
    free bigint not null check (free >= 0),
    held bigint not null default 0 check (held >= 0),
    spent bigint not null default 0 check (spent >= 0),
    expired bigint not null default 0 check (expired >= 0),
    adjusted bigint not null default 0 check (adjusted >= 0),
    constraint lots_conserve_credits check (free + held + spent + expired + adjusted = credits)
) with (fillfactor = 70);
create unique index lots_by_user on lots (user_id, position);
create index lots_due on lots (expires_at) where expires_at is not null and free > 0;

-- One row for each hold that was placed, and how it ended.
create table holds (
    hold_id text primary key,
    user_id text not null,
    deployment_id text not null,
    module_id text not null,
    partner_id text,
    agent_id text,
    status text not null check (status in ('PLACED', 'SETTLED', 'RELEASED')),
    cost bigint not null check (cost >= 0),
    awarded bigint not null check (awarded >= 0),
    purchased bigint not null check (purchased >= 0),
    placed_at timestamptz not null,
    ended_at timestamptz,
    constraint holds_are_paid_in_full check (awarded + purchased = cost)
) with (fillfactor = 70);
create unique index holds_settle_a_deployment_once on holds (deployment_id)
    where status = 'SETTLED';
create index holds_by_user on holds (user_id);

-- One row for each movement, with the balance after it; `credits` are those that moved, of which
-- `awarded` and `purchased` are the parts.
create table history (
    user_id text not null,
    version bigint not null,
    at timestamptz not null,
    type text not null check (
        type in ('AWARD', 'PURCHASE', 'HOLD', 'RELEASE', 'SPEND', 'EXPIRY', 'ADJUSTMENT')),
    credits bigint not null,
    awarded bigint not null,
    purchased bigint not null,
    awarded_after bigint not null,
    purchased_after bigint not null,
    awarded_held_after bigint not null,
    purchased_held_after bigint not null,
    deployment_id text,
    reason text,
    primary key (user_id, version)
);

grant select, insert, update, delete on balances, lots, holds, history to {service};
