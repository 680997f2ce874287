-- Webhooks as their owners see them: endpoints, and how each delivery fared. Their signing secrets
-- are with revenue, and nowhere else.

create table webhooks (
    webhook_id text primary key,
    owner_id text not null,
    url text not null,
    event_types text[] not null,
    description text,
    enabled boolean not null,
    disabled_reason text,
    failing_since timestamptz,
    both_secrets_until timestamptz,
    created_at timestamptz not null,
    changed_at timestamptz not null
);
create index webhooks_of_owner on webhooks (owner_id, created_at, webhook_id);

create table webhook_deliveries (
    delivery_id text primary key,
    webhook_id text not null,
    event_type text not null,
    event_sequence bigint,
    status text not null check (status in ('RETRYING', 'DELIVERED', 'GIVEN_UP')),
    attempts bigint not null,
    answer_status int,
    error text,
    duration_ms bigint not null,
    queued_at timestamptz not null,
    attempted_at timestamptz not null,
    next_attempt_at timestamptz
);
create index webhook_deliveries_of_webhook
    on webhook_deliveries (webhook_id, queued_at desc, delivery_id desc);
grant select, insert, update, delete on webhooks, webhook_deliveries to {service};
