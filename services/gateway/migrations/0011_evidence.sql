-- What a figure of revenue is proved by: the messages of a deployment's hold, revenue and shares, and
-- of the lots, each with the place and hash of the stored fact behind it.
create table revenue_evidence (
    about text not null,
    stream text not null,
    sequence bigint not null,
    message_id text not null,
    type text not null,
    at timestamptz not null,
    fact_version bigint,
    fact_hash text,
    data text not null,
    primary key (about, stream, sequence)
);
grant select, insert, update, delete on revenue_evidence to {service};
