-- Subjects of OpenID Connect issuers, and whose they are; who signs in so needs no password.
create table identities (
    issuer text not null,
    subject text not null,
    user_id text not null,
    linked_at timestamptz not null,
    primary key (issuer, subject)
);
create index identities_of_user on identities (user_id);
grant select, insert, update, delete on identities to {service};
alter table accounts alter column password_hash drop not null;
