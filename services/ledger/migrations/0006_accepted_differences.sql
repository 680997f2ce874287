-- Differences between Stripe and the ledger that a person has seen to and that stay: why they may.
create table accepted_differences (
    object_id text not null,
    code text not null,
    note text not null,
    at timestamptz not null,
    primary key (object_id, code)
);
grant select, insert on accepted_differences to {service};
