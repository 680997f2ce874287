-- Credits bought through Stripe: the checkouts, what is to be done with Stripe, what needs a person.

-- Read models, made from the facts of checkouts and wallets.
create table checkouts (
    checkout_id text primary key,
    user_id text not null,
    status text not null
        check (status in ('REQUESTED', 'OPEN', 'PAID', 'EXPIRED', 'FAILED')),
    credits bigint not null check (credits > 0),
    bonus bigint not null check (bonus >= 0),
    price_minor bigint not null check (price_minor > 0),
    currency text not null,
    success_path text not null,
    cancel_path text not null,
    requested_at timestamptz not null,
    request_expires_at timestamptz not null,
    session_id text,
    session_expires_at timestamptz,
    payment_id text,
    ended_at timestamptz
) with (fillfactor = 70);
create unique index checkouts_by_session on checkouts (session_id) where session_id is not null;
create unique index checkouts_by_payment on checkouts (payment_id) where payment_id is not null;
create index checkouts_unfinished on checkouts (requested_at)
    where status in ('REQUESTED', 'OPEN');
create index checkouts_by_time on checkouts (requested_at);

create table purchase_refunds (
    lot_id text not null,
    refund_id text not null,
    amount_minor bigint not null,
    at timestamptz not null,
    primary key (lot_id, refund_id)
);
create table purchase_disputes (
    lot_id text not null,
    dispute_id text not null,
    amount_minor bigint not null,
    outcome text check (outcome in ('WON', 'LOST')),
    opened_at timestamptz not null,
    closed_at timestamptz,
    primary key (lot_id, dispute_id)
);

-- Work: a job is there until it is done; putting it again while it is done has it done again.
create table stripe_jobs (
    kind text not null check (kind in ('open', 'check', 'follow')),
    key text not null,
    correlation_id text not null,
    due_at timestamptz not null,
    created_at timestamptz not null,
    attempts integer not null default 0,
    generation bigint not null default 1,
    error text,
    primary key (kind, key)
);
create index stripe_jobs_due on stripe_jobs (due_at);

-- What does not fit and is not booked, until it does or somebody has seen to it.
create table stripe_problems (
    object_id text not null,
    code text not null,
    checkout_id text,
    detail text not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    times bigint not null default 1,
    primary key (object_id, code)
);

-- Events of Stripe's that were followed; the sweep follows those that are not here.
create table stripe_events_followed (
    event_id text primary key,
    at timestamptz not null
);
create index stripe_events_followed_by_time on stripe_events_followed (at);
create table stripe_sweeps (
    name text primary key,
    swept_until timestamptz not null
);

grant select, insert, update, delete on
    checkouts, purchase_refunds, purchase_disputes, stripe_jobs, stripe_problems,
    stripe_events_followed, stripe_sweeps
    to {service};
