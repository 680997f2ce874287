-- expands
-- Work with Stripe goes on in the trace of whoever asked for it.
alter table stripe_jobs add column traceparent text;
