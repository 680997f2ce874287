-- What is to be forgotten is found by its age.

create index webhook_deliveries_by_age on webhook_deliveries (queued_at);
