"""Where the catalogue is put together; nothing happens at import."""

from typing import Final

from contracts.catalog.v1 import RequestRefused
from contracts.deployer.v1 import DeploymentEvent
from contracts.envelope import Envelope
from runtime.process import Service
from runtime.restored import Restoring
from runtime.work import Message
from services.catalog.handlers import KINDS, CatalogHandlers
from services.catalog.projections.deployments import Deployments
from services.catalog.projections.modules import Modules
from services.catalog.projections.syncs import Syncs
from services.catalog.settings import CatalogSettings
from services.catalog.syncing import Syncing

PROJECTIONS: Final = (Modules(), Syncs(), Deployments())
RESTORING: Final = Restoring()


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
        unhurried=unhurried,
    )


def unhurried(message: Message) -> bool:
    """Whether nobody waits: what becomes of deployments is only kept, for ratings."""
    return isinstance(message, Envelope) and isinstance(message.data, DeploymentEvent)
