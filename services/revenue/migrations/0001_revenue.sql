-- Revenue's read models: the lines of revenue, the lines of payees, and what each payee is due.
-- They are made from the facts and may be dropped and made again; replay is compared with them.

-- One row for each line of revenue; a deployment's lines are counted by `version`.
create table revenue_lines (
    deployment_id text not null,
    version bigint not null,
    hold_id text not null,
    user_id text not null,
    module_id text not null,
    partner_id text,
    agent_id text,
    credit_cost bigint not null,
    purchased_credits bigint not null,
    true_revenue_minor bigint not null,
    currency text not null,
    partner_basis_points int not null,
    agent_basis_points int not null,
    recognized_at timestamptz not null,
    primary key (deployment_id, version)
);
create index revenue_lines_by_time on revenue_lines (recognized_at);

-- One row for each line of a payee; `sequence` has no gap.
create table payee_lines (
    payee_id text not null,
    sequence bigint not null,
    payee_role text not null check (payee_role in ('partner', 'agent')),
    deployment_id text not null,
    module_id text not null,
    true_revenue_minor bigint not null,
    share_basis_points int not null,
    share_minor bigint not null,
    running_total_minor bigint not null,
    currency text not null,
    recognized_at timestamptz not null,
    primary key (payee_id, sequence)
);

-- Where each payee stands; `remainder` is in ten-thousandths of a minor unit.
create table payee_totals (
    payee_id text primary key,
    lines bigint not null,
    total_minor bigint not null,
    remainder int not null check (remainder between 0 and 9999),
    currency text not null
) with (fillfactor = 70);

grant select, insert, update, delete on revenue_lines, payee_lines, payee_totals to {service};
