create table totals (counter text primary key, total bigint not null);
grant select, insert, update, delete on totals to {service};
