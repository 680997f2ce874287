"""Values of variables, checked without running Terraform.

The catalogue, the gateway and the deployer hold values against a module's variables by this one
checker. It is pure, bounded, and as strict as Terraform or laxer, except that it converts nothing:
a string where a number is wanted is refused.
"""

from typing import Final

from contracts.variables.checking import check_variables, effective_values
from contracts.variables.nearest import known_as, nearest

MASK: Final = "(sensitive value)"
"""What stands in the place of a sensitive value in an answer; sent back, it means that value."""

__all__ = ["MASK", "check_variables", "effective_values", "known_as", "nearest"]
