-- Who did what when. `audited` is made from facts; `acts` are what leaves no fact: signing in,
-- tokens, profiles.
create table audited (
    id text primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text,
    details jsonb not null
);
create index audited_by_age on audited (at desc, id desc);
create index audited_by_actor on audited (actor, at desc, id desc);
create index audited_by_action on audited (action, at desc, id desc);

create table acts (
    id text primary key,
    at timestamptz not null,
    actor text not null,
    action text not null,
    subject text,
    details jsonb not null
);
create index acts_by_age on acts (at desc, id desc);
create index acts_by_actor on acts (actor, at desc, id desc);
create index acts_by_action on acts (action, at desc, id desc);
grant select, insert, update, delete on audited, acts to {service};
