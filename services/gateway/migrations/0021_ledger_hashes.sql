-- Where the fact stands that a message of the ledger tells of, and the chained hash that it has.

alter table ledger_events add column fact_version bigint, add column fact_hash text;
