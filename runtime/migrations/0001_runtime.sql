-- What every service's database has: facts, stream heads, outbox, inbox, documents, data keys.
-- {service} is the login role; the owner role runs this and nobody logs in as it.

-- Facts: appended, never changed. `body` holds the canonical bytes that the hash covers.
create table facts (
    position bigint generated always as identity,
    stream text not null,
    version bigint not null check (version > 0),
    id text not null,
    at timestamptz not null,
    body text not null,
    actor text not null,
    correlation_id text not null,
    causation_id text,
    previous_hash bytea not null,
    hash bytea not null,
    transaction_id xid8 not null default pg_current_xact_id(),
    primary key (stream, version)
);
create unique index facts_by_position on facts (position);

-- Stream heads: what a decision needs, so that it costs the same in a long stream as in a new one.
create table streams (
    id bigint generated always as identity primary key,
    name text not null unique,
    version bigint not null default 0,
    sequence bigint not null default 0,
    last_at timestamptz,
    last_hash bytea not null default decode(repeat('00', 32), 'hex'),
    state bytea
) with (fillfactor = 70);

-- The outbox keeps every published message for good; what still has to be sent stands beside it.
create table outbox (
    position bigint generated always as identity,
    created_at timestamptz not null default now(),
    id text not null,
    subject text not null,
    stream text not null,
    sequence bigint not null,
    body text not null,
    primary key (created_at, position)
) partition by range (created_at);
create index outbox_by_stream on outbox (stream, sequence);
create table outbox_default partition of outbox default;
create table outbox_pending (
    position bigint primary key,
    created_at timestamptz not null
);

-- How far each stream of another service was applied.
create table inbox_cursors (
    stream text primary key,
    sequence bigint not null
) with (fillfactor = 70);

-- Messages set aside: they wait for a predecessor, for a retry, or (parked) for a person.
create table inbox_waiting (
    id text primary key,
    stream text not null,
    sequence bigint not null,
    subject text not null,
    body bytea not null,
    reason text not null check (reason in ('predecessor', 'failed', 'undecodable')),
    detail text not null default '',
    attempts int not null default 0,
    first_at timestamptz not null,
    due_at timestamptz,
    parked_at timestamptz,
    unique (stream, sequence)
);
create index inbox_waiting_due on inbox_waiting (due_at) where due_at is not null;

-- What a service keeps of the others' facts, to decide by.
create table documents (
    collection text not null,
    key text not null,
    body bytea not null,
    primary key (collection, key)
);

-- Keys of encrypted values, wrapped; to delete one erases what it encrypts, everywhere.
create table data_keys (
    id text primary key,
    wrapped text not null,
    created_at timestamptz not null default now()
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end $$;

create trigger facts_append_only before update or delete on facts
    for each row execute function refuse_change();
create trigger facts_no_truncate before truncate on facts
    for each statement execute function refuse_change();
create trigger outbox_append_only before update on outbox
    for each row execute function refuse_change();
create trigger outbox_no_truncate before truncate on outbox
    for each statement execute function refuse_change();

-- A partition for the month of an instant; services may call it but own no table.
create function ensure_outbox_partition(month timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    first timestamptz := date_trunc('month', month, 'UTC');
    name text := 'outbox_' || to_char(first at time zone 'UTC', 'YYYY_MM');
begin
    perform pg_advisory_xact_lock(hashtext('outbox_partitions'));
    if to_regclass('public.' || name) is null then
        execute format('create table %I partition of outbox for values from (%L) to (%L)',
                       name, first, first + interval '1 month');
    end if;
end $$;
revoke all on function ensure_outbox_partition(timestamptz) from public;

grant usage on schema public to {service};
grant execute on function ensure_outbox_partition(timestamptz) to {service};
grant select, insert on facts, outbox to {service};
grant select, insert, update on streams, inbox_cursors to {service};
grant select, insert, update, delete on outbox_pending, inbox_waiting, documents, data_keys
    to {service};
