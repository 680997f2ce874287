-- The catalogue's read models: what a sync must know before it reads, and which syncs there are.
-- They are made from the facts and may be dropped and made again.

-- One row for each module that was ever published; `scope` is 'platform' or a partner's id.
create table modules (
    module_id text primary key,
    scope text not null,
    name text not null,
    repository text not null,
    path text not null,
    version int not null,
    withdrawn boolean not null,
    fingerprint text not null,
    fingerprint_paths text[] not null,
    unique (scope, name)
);

-- One row for each sync, in the order in which they were asked for.
create table syncs (
    sync_id text primary key,
    scope text not null,
    partner_id text,
    repository_url text not null,
    branch text,
    requested_by text not null,
    correlation_id text not null,
    queued_at timestamptz not null,
    status text not null check (status in ('WAITING', 'RUNNING', 'DONE', 'FAILED')),
    finished_at timestamptz
);
create index syncs_unfinished on syncs (scope, queued_at, sync_id)
    where status in ('WAITING', 'RUNNING');

grant select, insert, update, delete on modules, syncs to {service};
