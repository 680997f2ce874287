-- Lines of revenue, several for a settlement that was refunded, reversed or paid again; and their
-- sums by day, so that a total of a million lines costs as little as a page of them.
-- Read models: what was here is made again from the messages.

drop table revenue_lines;
drop table revenue_shares;

-- A row begins with the line or with a share of it, whichever comes first. It is complete, and
-- shown, when all shares due of it are here too.
create table revenue_lines (
    deployment_id text not null,
    line bigint not null,
    kind text check (kind in ('settled', 'repaid', 'settlement_refunded', 'settlement_reversed')),
    reverses bigint,
    hold_id text,
    user_id text,
    module_id text,
    module_name text,
    partner_id text,
    agent_id text,
    project text,
    credit_cost bigint,
    awarded_credits bigint,
    purchased_credits bigint,
    true_revenue_minor bigint,
    currency text,
    -- The purchases that the line earned from.
    lots text[],
    -- Whether nothing is left of what the line earned.
    reversed boolean not null default false,
    created_at timestamptz,
    recognized_at timestamptz,
    shares_due smallint,
    shares_known smallint not null default 0,
    partner_share_minor bigint not null default 0,
    agent_share_minor bigint not null default 0,
    complete boolean not null
        generated always as (shares_due is not null and shares_known >= shares_due) stored,
    primary key (deployment_id, line)
) with (fillfactor = 80);
create index revenue_lines_by_time on revenue_lines (recognized_at, deployment_id, line)
    where complete;
create index revenue_lines_of_partner on revenue_lines
    (partner_id, recognized_at, deployment_id, line) where complete and partner_id is not null;
create index revenue_lines_of_module on revenue_lines
    (module_id, recognized_at, deployment_id, line) where complete;
create index revenue_lines_of_agent on revenue_lines
    (agent_id, recognized_at, deployment_id, line) where complete and agent_id is not null;
create index revenue_lines_of_user on revenue_lines (user_id, recognized_at)
    include (agent_id, true_revenue_minor, agent_share_minor) where complete;

create table revenue_shares (
    payee_id text not null,
    sequence bigint not null,
    deployment_id text not null,
    line bigint not null,
    payee_role text not null,
    share_minor bigint not null,
    running_total_minor bigint not null,
    primary key (payee_id, sequence)
);
create index revenue_shares_of_line on revenue_shares (deployment_id, line);

-- The sums of complete lines; '' stands for nobody.
create table revenue_days (
    day date not null,
    module_id text not null,
    partner_id text not null,
    agent_id text not null,
    lines bigint not null,
    credit_cost bigint not null,
    purchased_credits bigint not null,
    true_revenue_minor bigint not null,
    partner_share_minor bigint not null,
    agent_share_minor bigint not null,
    primary key (day, module_id, partner_id, agent_id)
) with (fillfactor = 70);
create index revenue_days_of_partner on revenue_days (partner_id, day);
create index revenue_days_of_agent on revenue_days (agent_id, day);

-- Disputed purchases: what was earned from them is not payable while the dispute is open.
create table revenue_disputes (
    dispute_id text primary key,
    lot_id text not null,
    open boolean not null
);
create index revenue_disputes_open on revenue_disputes (lot_id) where open;

grant select, insert, update, delete on
    revenue_lines, revenue_shares, revenue_days, revenue_disputes to {service};
