-- Payees' endpoints, their secrets under the master key, and what waits to be sent to them. The
-- table is the queue: it is filled in the transaction of the facts that it tells of.

create table webhook_endpoints (
    webhook_id text primary key,
    owner_id text not null,
    url text not null,
    event_types text[] not null,
    enabled boolean not null,
    -- The last line of the payee that was queued for it.
    last_sequence bigint,
    -- When the first of what waits is due; null where nothing waits.
    due_at timestamptz,
    -- Who sends to it now, and until when nobody else does; a breaker waits here as well.
    lease text,
    not_before timestamptz not null default '-infinity',
    -- How many turns in a row ended with a failure.
    failures int not null default 0
) with (fillfactor = 70);
create index webhook_endpoints_due on webhook_endpoints (due_at)
    where enabled and due_at is not null;
create index webhook_endpoints_of_owner on webhook_endpoints (owner_id);

create table webhook_secrets (
    webhook_id text not null,
    secret_id text not null,
    wrapped text not null,
    created_at timestamptz not null,
    -- Null: the one that is in force.
    valid_until timestamptz,
    primary key (webhook_id, secret_id)
);

create table webhook_deliveries (
    delivery_id text primary key,
    webhook_id text not null references webhook_endpoints on delete cascade,
    position bigint generated always as identity,
    event_type text not null,
    event_sequence bigint,
    body text not null,
    queued_at timestamptz not null,
    attempts int not null default 0,
    -- Null: it was taken, or given up.
    due_at timestamptz
) with (fillfactor = 70);
create index webhook_deliveries_due on webhook_deliveries (webhook_id, due_at, position)
    where due_at is not null;
create index webhook_deliveries_by_time on webhook_deliveries (webhook_id, queued_at);
grant select, insert, update, delete
    on webhook_endpoints, webhook_secrets, webhook_deliveries to {service};
