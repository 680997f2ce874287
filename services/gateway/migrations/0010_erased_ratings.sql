-- Stars go with the deployment that they were given to; what they came to for its module stays.
alter table module_deployments add erased boolean not null default false;
