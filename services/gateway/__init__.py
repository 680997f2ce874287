"""The gateway: who you are, and what you may ask.

Decides: users, their roles and referrers; the platform's settings.
Publishes: `user_registered` `user_roles_changed` `user_referrer_changed` `user_deactivated`
`user_reactivated` `settings_changed`, and one `…_requested` for each thing asked.
Consumes: everything the others publish, for its own tables; it answers every read from those.
"""
