"""What the catalogue keeps of others' facts, to decide by."""

from typing import Final

import msgspec

DEPLOYMENTS: Final = "deployment"
"""The collection of deployments, by id."""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """Whose deployment of which module it is; `succeeded` once its first build has."""

    user_id: str
    module_id: str
    succeeded: bool = False
