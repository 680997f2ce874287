-- How modules stand with their users: deployments, stars, pins; and the search that forgives a typo.

create extension pg_trgm;

-- A deployment counts for its module once its first build has succeeded, and for good: this
-- survives the deployment's erasure, and holds nothing but the two ids.
create table module_deployments (
    deployment_id text primary key,
    module_id text not null,
    succeeded boolean not null
);
create index module_deployments_succeeded on module_deployments (module_id) where succeeded;
insert into module_deployments (deployment_id, module_id, succeeded)
    select deployment_id, module_id,
           exists (select from deployment_statuses s
                   where s.deployment_id = d.deployment_id and s.status = 'SUCCESS')
    from deployments d;
delete from deployment_counts where kind = 'module';

create table ratings (
    deployment_id text primary key,
    stars smallint not null,
    rated_at timestamptz not null
);

create table pins (
    user_id text not null,
    module_id text not null,
    pinned_at timestamptz not null,
    primary key (user_id, module_id)
);

-- `rating_milli` is the average in thousandths of a star, rounded down; 0 where nobody has rated.
alter table modules
    add deployment_count bigint not null default 0,
    add rating_sum bigint not null default 0,
    add rating_count bigint not null default 0,
    add rating_milli bigint not null
        generated always as (case rating_count when 0 then 0
                             else rating_sum * 1000 / rating_count end) stored,
    add featured boolean not null default false,
    add search_text text not null default '';
update modules m
    set deployment_count = (select count(*) from module_deployments d
                            where d.module_id = m.module_id and d.succeeded),
        search_text = lower(name || ' ' || title || ' ' || description || ' '
                            || array_to_string(tags, ' '));
create index modules_by_standing on modules
    ((not featured), (-deployment_count), (-rating_milli), name, module_id)
    where withdrawn_at is null;
create index modules_by_text on modules using gin (search_text gin_trgm_ops);
create index modules_by_tag on modules using gin (tags);

-- The modules in which a word occurs; where it occurs in none, those with the words most like it.
-- Only those that the viewer may see are considered, so that nothing follows from what others hide.
-- A word of up to three letters has too few trigrams to be like another. Two letters that changed
-- places leave as little as a third of a word's trigrams: hence the threshold; and hence only what
-- is nearly as like as the best.
create function modules_matching(viewer text, word text) returns setof text
language plpgsql stable set pg_trgm.word_similarity_threshold = '0.3' as $$
begin
    return query
        select m.module_id from modules m
        where m.search_text like '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%'
          and m.withdrawn_at is null
          and (m.source = 'admin' or m.public_access or m.partner_id = viewer);
    if not found and length(word) > 3 then
        return query
            select alike.module_id
            from (select m.module_id, word_similarity(word, m.search_text) as how_much,
                         max(word_similarity(word, m.search_text)) over () as at_best
                  from modules m
                  where word <% m.search_text and m.withdrawn_at is null
                    and (m.source = 'admin' or m.public_access or m.partner_id = viewer)) as alike
            where alike.how_much >= 0.8 * alike.at_best;
    end if;
end $$;

grant select, insert, update, delete on module_deployments, ratings, pins to {service};
