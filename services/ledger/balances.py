"""What each movement of credits makes of a balance."""

from collections.abc import Iterable

from msgspec.structs import replace

from services.ledger.events import Balance, LotKind, Slice


def granted(balance: Balance, kind: LotKind, credits_in: int) -> Balance:
    """Return the balance with a new lot in it."""
    if kind == "purchase":
        return _moved(balance, purchased=credits_in)
    return _moved(balance, awarded=credits_in)


def held(balance: Balance, slices: Iterable[Slice]) -> Balance:
    """Return the balance once slices are set aside: it owns as much, and less is available."""
    awarded, purchased = parts(slices)
    return _moved(balance, awarded_held=awarded, purchased_held=purchased)


def released(balance: Balance, slices: Iterable[Slice]) -> Balance:
    """Return the balance once held slices are given back."""
    awarded, purchased = parts(slices)
    return _moved(balance, awarded_held=-awarded, purchased_held=-purchased)


def spent(balance: Balance, slices: Iterable[Slice]) -> Balance:
    """Return the balance once held slices are spent."""
    awarded, purchased = parts(slices)
    return _moved(
        balance,
        awarded=-awarded,
        purchased=-purchased,
        awarded_held=-awarded,
        purchased_held=-purchased,
    )


def ended(balance: Balance, slices: Iterable[Slice]) -> Balance:
    """Return the balance once free slices have expired or were taken away."""
    awarded, purchased = parts(slices)
    return _moved(balance, awarded=-awarded, purchased=-purchased)


def parts(slices: Iterable[Slice]) -> tuple[int, int]:
    """Return how many credits of the slices were awarded, and how many were purchased."""
    awarded = purchased = 0
    for s in slices:
        if s.purchased:
            purchased += s.credits
        else:
            awarded += s.credits
    return awarded, purchased


def frozen(balance: Balance, slices: Iterable[Slice], *, times: int = 1) -> Balance:
    """Return the balance once free slices are frozen, or, -1 `times`, once they no longer are."""
    awarded, purchased = parts(slices)
    return replace(
        balance,
        awarded_frozen=balance.awarded_frozen + times * awarded,
        purchased_frozen=balance.purchased_frozen + times * purchased,
    )


def returned(balance: Balance, slices: Iterable[Slice]) -> Balance:
    """Return the balance once spent slices have come back to their lots."""
    awarded, purchased = parts(slices)
    return _moved(balance, awarded=awarded, purchased=purchased)


def indebted(balance: Balance, credits_owed: int) -> Balance:
    """Return the balance with so much more debt, or less where it is negative.

    Purchased credits are counted net of debt.
    """
    return replace(
        balance, purchased=balance.purchased - credits_owed, debt=balance.debt + credits_owed
    )


def repaid(balance: Balance, credits_repaid: int) -> Balance:
    """Return the balance once so many free credits took the place of as much debt."""
    return replace(balance, debt=balance.debt - credits_repaid)


def _moved(
    balance: Balance,
    *,
    awarded: int = 0,
    purchased: int = 0,
    awarded_held: int = 0,
    purchased_held: int = 0,
) -> Balance:
    return Balance(
        balance.awarded + awarded,
        balance.purchased + purchased,
        balance.awarded_held + awarded_held,
        balance.purchased_held + purchased_held,
        balance.awarded_frozen,
        balance.purchased_frozen,
        balance.debt,
    )
