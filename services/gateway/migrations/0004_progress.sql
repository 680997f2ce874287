-- How far Terraform was when it printed this: resources done, of how many.
alter table log_chunks add column done int, add column planned int;
