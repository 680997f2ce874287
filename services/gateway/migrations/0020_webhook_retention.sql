-- The log of deliveries is kept as long as they can be sent again, and what is older found by its age.

create index webhook_deliveries_by_age on webhook_deliveries (queued_at);
