"""Finds in a wallet's facts who spent a purchase, so that it can be refunded or disputed.

The read is before the wallet is locked. The decider checks it under the lock; where the wallet
has moved meanwhile, it is read again.
"""

from dataclasses import replace
from typing import Final

import msgspec

from runtime.connection import Connection
from runtime.process import Running
from runtime.work import Outcome
from services.ledger.commands import CloseDispute, OpenDispute, RefundPurchase
from services.ledger.events import Fact
from services.ledger.handlers import ChangePurchase, wallet_stream
from services.ledger.reversals import StaleSpendingError
from services.ledger.spending import Spending, SpendingBook, bonus_lot_id

ATTEMPTS_MAX: Final = 20
CHUNK_FACTS: Final = 500

_DECODER: Final = msgspec.json.Decoder(Fact)
_FACTS: Final = """
    select body from facts
    where stream = $1 and strpos(body, $2) > 0 and strpos(body, '"fact":"hold_placed"') = 0
    order by version
"""


async def change(
    running: Running,
    command: RefundPurchase | OpenDispute | CloseDispute,
    *,
    actor: str,
    correlation_id: str,
) -> Outcome:
    """Return what a refund or a dispute of a purchase brought about, once it is committed.

    `spending` of the command is filled in here. Reads at most 20 times; a wallet that moves each
    time between the read and the lock is refused as `STALE_SPENDING`. Raises as
    `Processor.execute` does.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        # The connection goes back first: whoever decides needs one of the same pool.
        async with running.pool.acquire() as connection:
            spending = await read(connection, command.user_id, command.lot_id)
        told = ChangePurchase(
            actor=actor,
            correlation_id=correlation_id,
            change=replace(command, spending=spending),
        )
        try:
            return await running.processor.execute(told)
        except StaleSpendingError:
            if attempt == ATTEMPTS_MAX:
                raise
    raise AssertionError("the last attempt returns or raises")


async def read(connection: Connection, user_id: str, lot_id: str) -> Spending | None:
    """Return where the credits of a wallet's purchase and its bonus are, or nothing.

    Reads those facts of the wallet that name the purchase, 500 at a time.
    """
    lots = frozenset({lot_id, bonus_lot_id(lot_id)})
    book = SpendingBook(only=lots)
    async with connection.transaction(readonly=True):
        facts = connection.cursor(_FACTS, wallet_stream(user_id), lot_id, prefetch=CHUNK_FACTS)
        async for row in facts:
            book.take(_DECODER.decode(row["body"]))
    return book.spending(lot_id)
