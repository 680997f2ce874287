-- What the totals of reports are sums of, so that they cost little however many lines there are.

-- The sums of days by month.
create table revenue_months (
    month date not null,
    module_id text not null,
    partner_id text not null,
    agent_id text not null,
    lines bigint not null,
    credit_cost bigint not null,
    purchased_credits bigint not null,
    true_revenue_minor bigint not null,
    partner_share_minor bigint not null,
    agent_share_minor bigint not null,
    primary key (month, module_id, partner_id, agent_id)
) with (fillfactor = 70);
create index revenue_months_of_partner on revenue_months (partner_id, month);
create index revenue_months_of_agent on revenue_months (agent_id, month);
insert into revenue_months
select date_trunc('month', day)::date, module_id, partner_id, agent_id, sum(lines),
       sum(credit_cost), sum(purchased_credits), sum(true_revenue_minor), sum(partner_share_minor),
       sum(agent_share_minor)
from revenue_days group by 1, 2, 3, 4;

-- Whose deployments an agent has earned by. What is the agent's and of users who still are theirs
-- is then all that is the agent's without the lines of a few users.
create table revenue_referrals (
    agent_id text not null,
    user_id text not null,
    primary key (agent_id, user_id)
);
insert into revenue_referrals
select distinct agent_id, user_id from revenue_lines where agent_id is not null and kind is not null;

grant select, insert, update, delete on revenue_months, revenue_referrals to {service};
