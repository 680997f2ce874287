"""Where the catalogue is put together; nothing happens at import."""

from typing import Final

from contracts.catalog.v1 import RequestRefused
from runtime.batch import FOLLOWER_GATHER_SECONDS
from runtime.process import Service
from services.catalog.handlers import KINDS, CatalogHandlers
from services.catalog.projections.deployments import Deployments
from services.catalog.projections.modules import Modules
from services.catalog.projections.syncs import Syncs
from services.catalog.settings import CatalogSettings
from services.catalog.syncing import Syncing

PROJECTIONS: Final = (Modules(), Syncs(), Deployments())


def build(settings: CatalogSettings) -> Service:
    """Return the service, composed."""
    syncing = Syncing(settings)
    handlers = CatalogHandlers(allow_local=settings.allow_local_repositories, wake=syncing.wake)
    return Service(
        name="catalog",
        kinds=KINDS,
        handlers=handlers,
        projections=PROJECTIONS,
        refused=RequestRefused,
        tasks=(syncing.run_syncs,),
        gather_seconds=FOLLOWER_GATHER_SECONDS,
    )
