-- What finance sees of the ledger as it is: every message of it, and what verifications found.

-- One row for each of the ledger's messages. Rows become visible in any order; a list goes only as
-- far as no transaction is open that may still add one before its end.
create table ledger_events (
    position bigint generated always as identity primary key,
    id text not null unique,
    stream text not null,
    sequence bigint not null,
    type text not null,
    user_id text,
    at timestamptz not null,
    correlation_id text not null,
    causation_id text,
    data text not null,
    transaction_id xid8 not null default pg_current_xact_id(),
    unique (stream, sequence)
);
create index ledger_events_by_user on ledger_events (user_id, position) where user_id is not null;

-- What a verification that somebody asked for found.
create table ledger_verifications (
    request_id text primary key,
    events bigint not null,
    head text not null,
    segments bigint not null,
    sealed bigint not null,
    ok boolean not null,
    first_bad text,
    verified_at timestamptz not null
);

grant select, insert, update, delete on ledger_events, ledger_verifications to {service};
