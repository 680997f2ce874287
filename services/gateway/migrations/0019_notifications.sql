-- What the pages tell somebody of while they look at something else.
alter table accounts
    add column notify_deployments boolean not null default true,
    add column notify_credits boolean not null default true;
