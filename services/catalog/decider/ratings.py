"""Ratings: one for each deployment, by its owner, changeable.

Refusals, in the order in which they win: a request that came too late; a deployment that is not the
asker's, or not of that module, which are as if there were none; one that never succeeded.
"""

from dataclasses import dataclass
from datetime import datetime

from runtime.refusal import Refusal
from services.catalog.decider.modules import RequestExpiredRefusal
from services.catalog.events import DeploymentRated, RatingFact, RatingState
from services.catalog.knowledge import Deployment


class UnknownDeploymentRefusal(Refusal):
    """There is no such deployment, for the asker."""


class NotSucceededRefusal(Refusal):
    """The deployment never succeeded."""


@dataclass(frozen=True, slots=True)
class RateDeployment:
    """Somebody gives stars (1 to 5, as its contract has it) to a deployment of a module."""

    asker: str
    module_id: str
    stars: int
    expires_at: datetime


def decide_rating(
    command: RateDeployment, deployment: Deployment | None, at: datetime
) -> list[RatingFact]:
    """Return what happens to a deployment's rating, even where it stays: its asker waits for it."""
    if at >= command.expires_at:
        raise RequestExpiredRefusal("REQUEST_EXPIRED", "the request was not carried out in time")
    if (
        deployment is None
        or deployment.user_id != command.asker
        or deployment.module_id != command.module_id
    ):
        raise UnknownDeploymentRefusal("UNKNOWN_DEPLOYMENT", "there is no such deployment")
    if not deployment.succeeded:
        raise NotSucceededRefusal(
            "DEPLOYMENT_NOT_SUCCEEDED", "only a deployment that succeeded can be rated"
        )
    return [DeploymentRated(stars=command.stars)]


def evolve_rating(_: RatingState, fact: RatingFact) -> RatingState:
    """Return the rating after the fact: the last one counts."""
    return RatingState(stars=fact.stars)
