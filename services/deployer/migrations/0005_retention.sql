-- What rests, since its last build ended: past the retention time it is erased, if it owns nothing.
create table resting (
    deployment_id text primary key,
    build_id text not null,
    since timestamptz not null,
    owns_resources boolean not null
);
create index resting_to_erase on resting (since) where not owns_resources;
create index leases_by_deployment on leases (deployment_id);
create index log_chunks_by_deployment on log_chunks (deployment_id);
insert into resting (deployment_id, build_id, since, owns_resources)
select distinct on (b.deployment_id) b.deployment_id, b.build_id, coalesce(b.ended_at, b.queued_at),
       coalesce((select s.resources > 0 from states s
                 where s.deployment_id = b.deployment_id and not s.evidence
                 order by s.number desc limit 1), false)
from builds b
where not exists (select from builds o
                  where o.deployment_id = b.deployment_id and o.status <> 'ENDED')
order by b.deployment_id, b.queued_at desc;

grant select, insert, update, delete on resting to {service};
