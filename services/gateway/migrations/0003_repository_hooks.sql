-- What a push webhook is matched by: the repository it tells of, and the secret it is signed with.
-- `repository_key` is the address without what two spellings of it differ in.
alter table accounts add repository_webhook_secret text, add repository_key text;
create index accounts_by_repository on accounts (repository_key)
    where repository_webhook_secret is not null;

create index syncs_of_partner on syncs (partner_id, requested_at desc, sync_id desc);
