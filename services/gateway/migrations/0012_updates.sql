-- What each build wants, which becomes what the deployment is once the build has changed it.
alter table builds add user_id text, add module_name text, add module_version bigint,
    add variables text;
update builds b set user_id = d.user_id, module_name = d.module_name,
                    module_version = d.module_version, variables = d.variables
    from deployments d where d.deployment_id = b.deployment_id;
create index builds_open on builds (status, created_at) where finished_at is null;
create index builds_of_user on builds (user_id, started_at desc) where started_at is not null;
create index builds_by_end on builds (finished_at) where finished_at is not null;
create index log_chunks_of_deployment on log_chunks (deployment_id);
