-- The deployer's read models and the records of running builds.

-- One row a build: what the scheduler chooses from, and what a runner is given.
create table builds (
    build_id text primary key,
    deployment_id text not null,
    user_id text not null,
    action text not null,
    status text not null check (status in ('QUEUED', 'RUNNING', 'ENDED')),
    attempt int not null default 0,
    archive_digest text not null,
    archive_folder text not null,
    variables text not null,
    sensitive text[] not null,
    queued_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    cancel_requested boolean not null default false
);
create index builds_queued on builds (user_id, queued_at) where status = 'QUEUED';
create index builds_running on builds (user_id) where status = 'RUNNING';
create index builds_by_deployment on builds (deployment_id);

-- A runner's lease on its attempt; `taken_at` is when it came for the job, from which moment no
-- other may. Of both tokens, the runner's and its Terraform's for the state, the hash is kept.
create table leases (
    build_id text primary key,
    deployment_id text not null,
    attempt int not null,
    token_hash bytea not null unique,
    state_token_hash bytea not null unique,
    given_at timestamptz not null,
    taken_at timestamptz,
    heartbeat_at timestamptz not null
);

-- Terraform's state, every version of it, encrypted. What a stale attempt delivers is evidence.
create table states (
    deployment_id text not null,
    number bigint generated always as identity,
    build_id text not null,
    attempt int not null,
    body text not null,
    resources int not null,
    evidence boolean not null,
    stored_at timestamptz not null,
    primary key (deployment_id, number)
);
create table state_locks (
    deployment_id text primary key,
    build_id text not null,
    lock_id text not null,
    info text not null,
    locked_at timestamptz not null
);

-- What builds print, in UTF-8 from byte `chunk_offset` on; relayed to the bus from here. After the
-- `final` piece, which the build's end writes, nothing follows.
create table log_chunks (
    build_id text not null,
    chunk_offset bigint not null,
    deployment_id text not null,
    user_id text not null,
    text text not null,
    bytes int not null,
    at timestamptz not null,
    final boolean not null,
    relayed boolean not null default false,
    primary key (build_id, chunk_offset)
);
create index log_chunks_to_relay on log_chunks (at) where not relayed;

grant select, insert, update, delete on builds, leases, states, state_locks, log_chunks
    to {service};
