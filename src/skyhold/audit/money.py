"""I3, the money: what the ledger says of every ended order, against the gateway's own statement of the same key."""

from __future__ import annotations

from collections.abc import Iterator

from skyhold.audit.findings import Finding, Invariant
from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentState
from skyhold.payments.gateway import PaymentGateway, StatementLine
from skyhold.queries.audit import PAGE, AuditQueries, EndedMoney


async def find_money(queries: AuditQueries, gateway: PaymentGateway) -> list[Finding]:
    """Return every ended order whose money is not where it should be, and every capture that no order knows."""
    findings: list[Finding] = []
    last = ""
    while page := await queries.ended_money(after=last):
        lines = {line.key: line for line in await gateway.statement([money.key for money in page], limit=len(page))}
        for money in page:
            findings += [
                Finding(Invariant.I3, money.order_id, money.step, subject, detail)
                for subject, detail in _faults(money, lines.get(money.key))
            ]
        last = page[-1].order_id
    return findings + await _find_unknown(queries, gateway)


def _faults(money: EndedMoney, line: StatementLine | None) -> Iterator[tuple[str, str]]:
    kept = money.captured_cents - money.refunded_cents
    captures, refunds, amount = (line.captures, line.refunds, line.amount_cents) if line else (0, 0, 0)
    if money.status is OrderStatus.CONFIRMED:
        if (money.state, kept) != (PaymentState.CAPTURED, money.total_cents):
            yield "ledger", f"confirmed for {money.total_cents} cents, but {money.state} with {kept} kept"
        if (captures, refunds, amount) != (1, 0, money.total_cents):
            yield (
                "statement",
                (
                    f"confirmed for {money.total_cents} cents, but the gateway shows {captures} captures of {amount} "
                    f"and {refunds} refunds"
                ),
            )
    elif money.state != PaymentState.REFUND_DUE:
        if kept != 0:
            yield "ledger", f"{money.status}, but {kept} cents are kept and no refund is due"
        if captures != refunds:
            yield "statement", f"{money.status}, but the gateway shows {captures} captures and {refunds} refunds"


async def _find_unknown(queries: AuditQueries, gateway: PaymentGateway) -> list[Finding]:
    findings: list[Finding] = []
    last = None
    while lines := await gateway.statement(after=last, limit=PAGE):
        unknown = await queries.unknown_keys([line.key for line in lines])
        findings += [
            Finding(Invariant.I3, None, None, str(line.key), f"{line.amount_cents} cents captured for no order")
            for line in lines
            if line.key in unknown and line.captures != line.refunds
        ]
        last = lines[-1].key
    return findings
