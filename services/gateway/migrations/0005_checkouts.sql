-- Attempts to buy credits. The address to pay at is there only while it is of use.
create table checkouts (
    checkout_id text primary key,
    user_id text not null,
    status text not null check (status in ('OPEN', 'PAID', 'EXPIRED', 'FAILED')),
    credits bigint not null,
    bonus bigint not null,
    price_minor bigint not null,
    currency text not null,
    url text,
    session_expires_at timestamptz not null,
    opened_at timestamptz not null,
    ended_at timestamptz
);

grant select, insert, update, delete on checkouts to {service};
