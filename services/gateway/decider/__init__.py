"""The gateway's rules, pure: who may become what, what may be set, that a request counts once."""
