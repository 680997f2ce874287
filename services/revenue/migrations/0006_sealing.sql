-- What was sealed: each segment's manifest, and how far each stream is in segments.

-- A manifest is written here before it is put beside its segment: who was killed in between, or
-- lost the lock, leaves nothing half. `manifest` is the file's text, byte for byte.
create table segments (
    number bigint primary key check (number > 0),
    facts bigint not null check (facts > 0),
    sealed_at timestamptz not null,
    manifest text not null
);
create trigger segments_append_only before update or delete on segments
    for each row execute function refuse_change();
create trigger segments_no_truncate before truncate on segments
    for each statement execute function refuse_change();

-- Follows from the manifests, and is kept so that a seal need not read them.
create table sealed_streams (
    stream text primary key,
    version bigint not null check (version > 0),
    hash bytea not null
) with (fillfactor = 70);

grant select, insert on segments to {service};
grant select, insert, update on sealed_streams to {service};
