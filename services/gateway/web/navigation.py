"""Where a visitor can go: only pages that their roles open."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.gateway.web.visit import Visit


@dataclass(frozen=True)
class Place:
    """A page in the menu; with `roles` only for those with one of them."""

    href: str
    label: str
    icon: str
    group: str
    roles: tuple[str, ...] = ()


PLACES: Final = (
    Place("/deploy", "Deploy", "deploy", ""),
    Place("/deployments", "Deployments", "deployments", ""),
    Place("/credits", "Credits", "credits", ""),
    Place("/projects", "Projects", "projects", ""),
    Place("/revenue", "Revenue", "revenue", "Earn", ("partner", "agent")),
    Place("/publish", "Publish", "publish", "Earn", ("partner", "admin")),
    Place("/billing", "Billing", "billing", "Run", ("finance", "admin")),
    Place("/ledger", "Ledger", "ledger", "Run", ("finance", "admin")),
    Place("/users", "Users", "users", "Run", ("admin", "finance", "support")),
    Place("/settings", "Settings", "settings", "Run", ("admin", "finance")),
)


def navigation(visit: "Visit") -> Iterator[Place]:
    """Yield the places that a visitor can go to, in the menu's order."""
    for place in PLACES:
        if place.href == "/projects" and not visit.platform.project_costs_enabled:
            continue
        if not place.roles or visit.has(*place.roles):
            yield place
