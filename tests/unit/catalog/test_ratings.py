"""Who may rate what, what a module's rating comes to, and which modules are featured."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.refusal import Refusal
from services.catalog.decider.modules import (
    CountStars,
    FeatureModule,
    decide_module,
    evolve_module,
)
from services.catalog.decider.ratings import (
    RateDeployment,
    decide_rating,
    evolve_rating,
)
from services.catalog.events import (
    DeploymentRated,
    ModuleFeatured,
    ModuleRated,
    ModuleState,
    ModuleUnfeatured,
    ModuleWithdrawn,
    RatingState,
)
from services.catalog.knowledge import Deployment

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=15)
RATE = RateDeployment(asker="ada", module_id="m-1", stars=4, expires_at=LATER)
SUCCEEDED = Deployment(user_id="ada", module_id="m-1", succeeded=True)
PUBLISHED = ModuleState(version=1)


def rated(state: ModuleState, deployment_id: str, stars: int, before: int | None) -> ModuleState:
    for fact in decide_module(CountStars(deployment_id, stars, before), state):
        state = evolve_module(state, fact)
    return state


def test_the_owner_of_a_deployment_that_succeeded_rates_it_and_may_change_their_mind() -> None:
    assert decide_rating(RATE, SUCCEEDED, NOON) == [DeploymentRated(stars=4)]
    state = evolve_rating(RatingState(stars=4), DeploymentRated(stars=2))
    assert state.stars == 2


NOT_SUCCEEDED = Deployment(user_id="ada", module_id="m-1")
OF_ANOTHER = Deployment(user_id="bob", module_id="m-1")


@pytest.mark.parametrize(
    ("deployment", "at", "code"),
    [
        (None, NOON, "UNKNOWN_DEPLOYMENT"),
        (OF_ANOTHER, NOON, "UNKNOWN_DEPLOYMENT"),
        (Deployment(user_id="ada", module_id="m-2"), NOON, "UNKNOWN_DEPLOYMENT"),
        (NOT_SUCCEEDED, NOON, "DEPLOYMENT_NOT_SUCCEEDED"),
        (SUCCEEDED, LATER, "REQUEST_EXPIRED"),
        # The order in which they win.
        (OF_ANOTHER, LATER, "REQUEST_EXPIRED"),
        (None, LATER, "REQUEST_EXPIRED"),
    ],
)
def test_what_cannot_be_rated_is_refused_by_name(
    deployment: Deployment | None, at: datetime, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        decide_rating(RATE, deployment, at)
    assert refused.value.code == code


def test_a_module_tells_the_sum_of_its_stars_and_from_how_many() -> None:
    state = rated(PUBLISHED, "d-1", 5, None)
    state = rated(state, "d-2", 2, None)
    assert (state.rating_sum, state.rating_count) == (7, 2)
    assert decide_module(CountStars("d-2", 4, 2), state) == [
        ModuleRated(deployment_id="d-2", stars=4, rating_sum=9, rating_count=2)
    ]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 5)), max_size=40))
def test_sum_and_count_are_those_of_the_last_stars_of_each_deployment(
    ratings: list[tuple[str, int]],
) -> None:
    state = PUBLISHED
    last: dict[str, int] = {}
    for deployment_id, stars in ratings:
        state = rated(state, deployment_id, stars, last.get(deployment_id))
        last[deployment_id] = stars
    assert (state.rating_sum, state.rating_count) == (sum(last.values()), len(last))
    assert state.rating_count <= state.rating_sum <= 5 * state.rating_count


def test_a_rating_survives_a_withdrawal_and_a_new_version() -> None:
    state = evolve_module(rated(PUBLISHED, "d-1", 5, None), ModuleWithdrawn())
    state = rated(state, "d-2", 3, None)
    assert (state.withdrawn, state.rating_sum, state.rating_count) == (True, 8, 2)


def test_a_module_is_featured_and_unfeatured_and_the_asker_is_always_answered() -> None:
    feature = FeatureModule(featured=True, expires_at=LATER, at=NOON)
    assert decide_module(feature, PUBLISHED) == [ModuleFeatured()]
    featured = evolve_module(PUBLISHED, ModuleFeatured())
    assert featured.featured
    assert decide_module(feature, featured) == [ModuleFeatured()]
    unfeature = FeatureModule(featured=False, expires_at=LATER, at=NOON)
    assert decide_module(unfeature, featured) == [ModuleUnfeatured()]
    assert not evolve_module(featured, ModuleUnfeatured()).featured


@pytest.mark.parametrize(
    ("featured", "state", "at", "code"),
    [
        (True, ModuleState(), NOON, "UNKNOWN_MODULE"),
        (False, ModuleState(), NOON, "UNKNOWN_MODULE"),
        (True, ModuleState(version=1, withdrawn=True), NOON, "MODULE_WITHDRAWN"),
        (True, PUBLISHED, LATER, "REQUEST_EXPIRED"),
        (True, ModuleState(), LATER, "REQUEST_EXPIRED"),
        (False, ModuleState(version=1, withdrawn=True), NOON, None),
    ],
)
def test_what_cannot_be_featured_is_refused_by_name(
    featured: bool, state: ModuleState, at: datetime, code: str | None
) -> None:
    command = FeatureModule(featured=featured, expires_at=LATER, at=at)
    if code is None:
        assert decide_module(command, state) == [ModuleUnfeatured()]
        return
    with pytest.raises(Refusal) as refused:
        decide_module(command, state)
    assert refused.value.code == code
