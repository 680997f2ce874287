"""The deployer: the life of deployments and of each of their builds.

Decides: whether a request is valid, which build runs when, and how each one ends.
Publishes: `hold_requested` `deployment_queued` `deployment_refused` `deployment_provisioning`
`deployment_succeeded` `deployment_failed` `deployment_cancelled` `deployment_timed_out`.
Consumes: requests to deploy and to cancel; modules; wallets, for the holds it asked for.
"""
