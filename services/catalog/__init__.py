"""The catalogue: what a module is, its versions, and who may see it.

Decides: whether a repository's directories are modules, and what each sync changes.
Publishes: `module_published`, `module_updated`, `module_withdrawn`, `sync_finished`.
Consumes: the gateway's `sync_requested`.
"""
