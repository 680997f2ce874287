-- Wallets as they were after one of their facts, so that an earlier instant need not be folded
-- from the first fact on. They follow from the facts and may be dropped at any time; `shape` says
-- of which form the state is, and one of another form is not read.
create table wallet_snapshots (
    stream text not null,
    version bigint not null check (version > 0),
    at timestamptz not null,
    shape text not null,
    state bytea not null,
    primary key (stream, version, shape)
);
grant select, insert, delete on wallet_snapshots to {service};
