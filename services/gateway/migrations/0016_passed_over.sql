-- Directories of a repository that are no modules though they hold Terraform files.
alter table syncs add column passed_over text[] not null default '{}';
