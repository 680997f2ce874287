-- The attempts that Cloud Build was asked for, and when it last said something of each.
create table cloud_attempts (
    build_id text not null,
    attempt int not null,
    heard_at timestamptz not null,
    primary key (build_id, attempt)
);

-- The builds it made of them; a message that is delivered twice may be answered with two. What
-- comes late is known by its rank.
create table cloud_builds (
    cloud_build_id text primary key,
    build_id text not null,
    attempt int not null,
    status text not null,
    rank int not null,
    foreign key (build_id, attempt) references cloud_attempts on delete cascade
);
create index cloud_builds_by_attempt on cloud_builds (build_id, attempt);

-- Which runner came for the job, for the same reason: the other one must not.
alter table leases add column taken_by text;

-- Where the source was read from, which whoever looks at Cloud Build's builds wants to see.
alter table builds add column repository text not null default '', add column commit text not null
    default '';

grant select, insert, update, delete on cloud_attempts, cloud_builds to {service};
