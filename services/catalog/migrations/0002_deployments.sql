-- Which deployments of a module own resources: a sync tells how many it touches.
create table deployments (
    deployment_id text primary key,
    module_id text not null,
    live boolean not null
);
create index deployments_live on deployments (module_id) where live;

grant select, insert, update, delete on deployments to {service};
