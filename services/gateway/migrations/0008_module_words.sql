-- The search looks for likely words first, and then for modules that have them: words are far fewer.

drop function modules_matching(text, text);

-- Every word that a module was ever found by: what a typo is compared with.
create table module_words (
    word text primary key
);
create index module_words_alike on module_words using gin (word gin_trgm_ops);
insert into module_words
    select distinct word from modules, regexp_split_to_table(search_text, '[^[:alnum:]]+') as word
    where length(word) between 3 and 40;

-- The modules in which all words occur. A word that occurs in none is taken for a typo, and stands
-- for those that are most like it. Only modules that the viewer may see are considered, so that
-- nothing follows from what others hide. A word of up to three letters has too few trigrams to be
-- like another; more than 200 words that are alike are not looked at.
create function modules_matching(viewer text, words text[]) returns text[]
language plpgsql stable as $$
declare
    wanted text;
    matching text[];
    found_for_all text[];
    candidate record;
    enough real;
begin
    foreach wanted in array words loop
        matching := modules_with(viewer, wanted);
        if cardinality(matching) = 0 and length(wanted) > 3 then
            enough := 0;
            for candidate in
                select w.word, similarity(w.word, wanted) as likeness from module_words w
                where w.word % wanted order by likeness desc, w.word limit 200
            loop
                exit when candidate.likeness < enough;
                matching := matching || modules_with(viewer, candidate.word);
                if cardinality(matching) > 0 and enough = 0 then
                    enough := 0.8 * candidate.likeness;
                end if;
            end loop;
        end if;
        if found_for_all is null then
            found_for_all := matching;
        else
            found_for_all := array(select unnest(found_for_all) intersect select unnest(matching));
        end if;
        exit when cardinality(found_for_all) = 0;
    end loop;
    return found_for_all;
end $$;

create function modules_with(viewer text, wanted text) returns text[]
language plpgsql stable as $$
declare
    pattern text := '%' || regexp_replace(wanted, '([\\%_])', '\\\1', 'g') || '%';
begin
    return array(
        select m.module_id from modules m
        where m.search_text like pattern and m.withdrawn_at is null
          and (m.source = 'admin' or m.public_access or m.partner_id = viewer));
end $$;

grant select, insert, update, delete on module_words to {service};
