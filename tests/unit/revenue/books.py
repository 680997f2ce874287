"""All of revenue's streams in one dictionary: what the handlers do, without a store."""

from dataclasses import dataclass, field

from services.revenue import decider, shares
from services.revenue.decider import RevenueCommand
from services.revenue.events import PayeeFact, PayeeState, RevenueFact, RevenueState


@dataclass
class Books:
    """What was recognised, reversed and accrued, and where every stream stands."""

    lines: list[RevenueFact] = field(default_factory=list)
    shares: list[PayeeFact] = field(default_factory=list)
    deployments: dict[str, RevenueState] = field(default_factory=dict)
    payees: dict[str, PayeeState] = field(default_factory=dict)

    def take(self, *commands: RevenueCommand) -> "Books":
        """Carry out commands, one after the other, and accrue what is due for them."""
        for command in commands:
            deployment_id = command.hold.deployment_id
            state = self.deployments.get(deployment_id, RevenueState())
            for line in decider.decide_revenue(command, state):
                self.lines.append(line)
                state = decider.evolve_revenue(state, line)
                self._accrue(line)
            self.deployments[deployment_id] = state
        return self

    def shares_of(self, payee_id: str) -> list[PayeeFact]:
        """Return a payee's lines, in order."""
        return [share for share in self.shares if share.payee_id == payee_id]

    def total_of(self, payee_id: str) -> int:
        """Return what a payee has earned, in minor units."""
        return self.payees.get(payee_id, PayeeState()).total_minor

    def _accrue(self, line: RevenueFact) -> None:
        for command in shares.shares_of(line):
            state = self.payees.get(command.payee_id, PayeeState())
            for share in shares.decide_payee(command, state):
                self.shares.append(share)
                state = shares.evolve_payee(state, share)
            self.payees[command.payee_id] = state
