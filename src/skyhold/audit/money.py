"""I3, the money: the ledger's record of every ended order, compared with the gateway's statement of the same key."""

from __future__ import annotations

from collections.abc import Iterator

from skyhold.audit.findings import Invariant, Violation
from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.payments.gateway import ChargeResult, PaymentGateway, StatementLine
from skyhold.queries.audit import PAGE, AuditQueries, EndedMoney


async def find_money(queries: AuditQueries, gateway: PaymentGateway) -> list[Violation]:
    """Return every ended order whose money is wrong, and every capture without a request in the ledger."""
    findings: list[Violation] = []
    last = ""
    while page := await queries.ended_money(after=last):
        lines = {line.key: line for line in await gateway.statement([money.key for money in page], limit=len(page))}
        for money in page:
            findings += [
                Violation(Invariant.I3, money.order_id, money.step, subject, detail)
                for subject, detail in _faults(money, lines.get(money.key))
            ]
        last = page[-1].order_id
    return findings + await _find_unasked(queries, gateway)


def _faults(money: EndedMoney, line: StatementLine | None) -> Iterator[tuple[str, str]]:
    kept = money.captured_cents - money.refunded_cents
    captures, refunds, amount = (line.captures, line.refunds, line.amount_cents) if line else (0, 0, 0)
    shown = f"the gateway shows {captures} captures of {amount} and {refunds} refunds"
    if money.status is OrderStatus.CONFIRMED:
        if (money.state, kept) != (PaymentState.CAPTURED, money.total_cents):
            yield "ledger", f"confirmed for {money.total_cents} cents, but {money.state} with {kept} kept"
        if (captures, refunds, amount) != (1, 0, money.total_cents):
            yield "statement", f"confirmed for {money.total_cents} cents, but {shown}"
    elif money.state == PaymentState.REFUND_DUE:
        # The gateway may have made the refund already, before the ledger has recorded it.
        if (captures, amount) != (1, money.captured_cents) or refunds > 1:
            yield "statement", f"a refund of {money.captured_cents} cents is due, but {shown}"
    else:
        if kept != 0:
            yield "ledger", f"{money.status}, but {kept} cents are kept and no refund is due"
        if captures != refunds or captures > 1:
            yield "statement", f"{money.status}, but {shown}"
        elif line is not None and line.state == ChargeResult.PENDING:
            yield "statement", f"{money.status}, but the gateway may still charge {money.total_cents} cents"


async def _find_unasked(queries: AuditQueries, gateway: PaymentGateway) -> list[Violation]:
    """Return captures that the ledger never requested, by reading all captures in the gateway's books."""
    findings: list[Violation] = []
    last = None
    while lines := await gateway.statement(after=last, limit=PAGE):
        unasked = await queries.unasked_keys([line.key for line in lines])
        for line in lines:
            if order := unasked.get(line.key):
                detail = f"{line.amount_cents} cents were captured without a request, key {line.key}: {order.detail}"
                findings.append(Violation(Invariant.I3, order.order_id, order.step, str(line.key), detail))
        last = lines[-1].key
    return findings
