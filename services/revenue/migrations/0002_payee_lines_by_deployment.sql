-- A settlement's shares are looked up when a replay of the ledger is compared with them.
create index payee_lines_by_deployment on payee_lines (deployment_id);
