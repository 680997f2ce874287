-- What the gateway keeps. {service} is its login role.

-- Identity: rows that may change and be erased. Names and addresses are nowhere else.

create table accounts (
    user_id text primary key,
    email text not null,
    email_key text not null unique,
    name text,
    password_hash text not null,
    referral_code text not null unique,
    repository_url text,
    repository_branch text,
    repository_token text,
    created_at timestamptz not null
);

create table sessions (
    id_hash bytea primary key,
    user_id text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

create table api_tokens (
    token_id text primary key,
    token_hash bytea not null unique,
    user_id text not null,
    name text not null,
    hint text not null,
    scopes text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    last_used_at timestamptz
);
create index api_tokens_by_user on api_tokens (user_id, created_at desc, token_id desc);

-- A bucket that fills with each attempt to sign in, and drains with time. The key is a keyed hash.
create table sign_in_attempts (
    key bytea primary key,
    level double precision not null,
    updated_at timestamptz not null
);
create index sign_in_attempts_by_age on sign_in_attempts (updated_at);

-- Answers kept for those who ask again with the same key: encrypted, for a day.
create table idempotency_keys (
    key bytea primary key,
    fingerprint bytea not null,
    operation_id text not null,
    busy_until timestamptz not null,
    answer text,
    expires_at timestamptz not null
);
create index idempotency_keys_by_expiry on idempotency_keys (expires_at);

-- The platform's own secrets, encrypted: its repository's token, its webhook's secret.
create table secrets (
    name text primary key,
    ciphertext text not null,
    changed_at timestamptz not null
);

-- Read models, from here on: made from facts alone, and so made again when they are lost.

create table users (
    user_id text primary key,
    roles text[] not null,
    active boolean not null,
    referred_by text,
    registered_at timestamptz not null,
    revision bigint not null
);
create index users_by_registration on users (registered_at desc, user_id desc);
create index users_by_referrer on users (referred_by) where referred_by is not null;

create table settings (
    version bigint primary key,
    body jsonb not null,
    changed_by text not null,
    changed_at timestamptz not null
);
create table settings_secrets (
    name text primary key,
    configured boolean not null
);

create table modules (
    module_id text primary key,
    source text not null,
    partner_id text,
    version bigint not null,
    name text not null,
    title text not null,
    description text not null,
    documentation text,
    tags text[] not null,
    credit_cost bigint not null,
    premium boolean not null,
    public_access boolean not null,
    published_at timestamptz not null,
    updated_at timestamptz not null,
    withdrawn_at timestamptz
);
create index modules_by_title on modules (title, module_id) where withdrawn_at is null;
create table module_versions (
    module_id text not null,
    version bigint not null,
    definition jsonb not null,
    repository text not null,
    path text not null,
    commit_id text not null,
    published_at timestamptz not null,
    changes jsonb not null,
    primary key (module_id, version)
);

create table syncs (
    sync_id text primary key,
    scope text not null,
    partner_id text,
    requested_by text not null,
    status text not null,
    requested_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    commit_id text,
    error text,
    modules jsonb not null default '[]'
);
create index syncs_by_age on syncs (requested_at desc, sync_id desc);

create table wallets (
    user_id text primary key,
    awarded bigint not null,
    purchased bigint not null,
    awarded_held bigint not null,
    purchased_held bigint not null,
    sequence bigint not null,
    changed_at timestamptz not null
);
create table lots (
    lot_id text primary key,
    user_id text not null,
    kind text not null,
    credits bigint not null,
    remaining bigint not null,
    held bigint not null,
    expired bigint not null,
    price_minor bigint not null,
    currency text not null,
    source text not null,
    reason text,
    granted_by text not null,
    granted_at timestamptz not null,
    expires_at timestamptz
);
create index lots_by_user on lots (user_id, granted_at desc, lot_id desc);
create table credit_history (
    user_id text not null,
    sequence bigint not null,
    id text not null,
    at timestamptz not null,
    type text not null,
    credits bigint not null,
    awarded_delta bigint not null,
    purchased_delta bigint not null,
    awarded bigint not null,
    purchased bigint not null,
    awarded_held bigint not null,
    purchased_held bigint not null,
    deployment_id text,
    lot_id text,
    reason text,
    actor text,
    primary key (user_id, sequence)
);
create index credit_history_by_time on credit_history (user_id, at, sequence);
create table holds (
    hold_id text primary key,
    deployment_id text not null,
    user_id text not null,
    status text not null,
    cost bigint not null,
    awarded_part bigint not null,
    purchased_part bigint not null,
    placed_at timestamptz not null,
    ended_at timestamptz,
    reason text
);
create index holds_by_deployment on holds (deployment_id, placed_at);

create table deployments (
    deployment_id text primary key,
    user_id text not null,
    module_id text not null,
    module_name text not null,
    module_version bigint not null,
    partner_id text,
    project text,
    variables text not null,
    credit_cost bigint not null,
    awarded_part bigint not null,
    purchased_part bigint not null,
    status text not null,
    owns_resources boolean not null,
    error jsonb,
    outputs text,
    sequence bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index deployments_of_user on deployments (user_id, created_at desc, deployment_id desc);
create index deployments_by_age on deployments (created_at desc, deployment_id desc);
create index deployments_active on deployments (user_id) where owns_resources;
create table deployment_statuses (
    deployment_id text not null,
    sequence bigint not null,
    status text not null,
    build_id text not null,
    at timestamptz not null,
    primary key (deployment_id, sequence)
);
create table builds (
    build_id text primary key,
    deployment_id text not null,
    action text not null,
    status text not null,
    executor text,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    error jsonb
);
create index builds_of_deployment on builds (deployment_id, created_at, build_id);

-- How many deployments there ever were, by module and by user: survives their erasure.
create table deployment_counts (
    kind text not null check (kind in ('module', 'user')),
    key text not null,
    deployments bigint not null,
    primary key (kind, key)
);

create table log_chunks (
    build_id text not null,
    start bigint not null,
    stop bigint not null,
    deployment_id text not null,
    body bytea not null,
    final boolean not null,
    at timestamptz not null,
    primary key (build_id, start)
);

create table revenue_lines (
    deployment_id text not null,
    sequence bigint not null,
    hold_id text not null,
    user_id text not null,
    module_id text not null,
    module_name text not null,
    partner_id text,
    agent_id text,
    project text,
    credit_cost bigint not null,
    awarded_credits bigint not null,
    purchased_credits bigint not null,
    true_revenue_minor bigint not null,
    currency text not null,
    shares_due smallint not null,
    created_at timestamptz not null,
    recognized_at timestamptz not null,
    primary key (deployment_id, sequence)
);
create index revenue_lines_by_time on revenue_lines (recognized_at desc, deployment_id desc, sequence desc);
create index revenue_lines_of_partner on revenue_lines
    (partner_id, recognized_at desc, deployment_id desc, sequence desc) where partner_id is not null;
create index revenue_lines_of_user on revenue_lines (user_id, recognized_at);
create table revenue_shares (
    payee_id text not null,
    sequence bigint not null,
    hold_id text not null,
    payee_role text not null,
    share_minor bigint not null,
    currency text not null,
    recognized_at timestamptz not null,
    primary key (payee_id, sequence)
);
create index revenue_shares_of_hold on revenue_shares (hold_id, payee_role);

create table requests (
    request_id text primary key,
    kind text not null,
    requested_by text not null,
    resource_id text not null,
    status text not null check (status in ('PENDING', 'DONE', 'REFUSED')),
    problem jsonb,
    requested_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz
);

-- What clients are told live. A row's position is taken under one lock that is held from there to
-- the commit, so that positions become visible in their order, and a client that has seen one has
-- seen, or may not see, all before it.
create table client_events (
    position bigint generated always as identity primary key,
    kind text not null,
    user_id text,
    roles text[] not null,
    everyone boolean not null,
    data text not null,
    created_at timestamptz not null default now()
);
create index client_events_by_age on client_events (created_at);

grant select, insert, update, delete on
    accounts, sessions, api_tokens, sign_in_attempts, idempotency_keys, secrets,
    users, settings, settings_secrets, modules, module_versions, syncs, wallets, lots,
    credit_history, holds, deployments, deployment_statuses, builds, deployment_counts, log_chunks,
    revenue_lines, revenue_shares, requests, client_events
    to {service};
