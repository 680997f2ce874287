-- When a user was last served, so that users take turns.
create index builds_by_start on builds (user_id, started_at desc) where started_at is not null;
