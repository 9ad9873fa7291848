"""Conditions on the status of an order in SQL, each written once; a prefix names the table: `o.` before `IS_OPEN`."""

from __future__ import annotations

IS_OPEN = "status NOT IN ('CONFIRMED', 'FAILED', 'EXPIRED')"
"""The order has not ended. The index `orders_open` serves exactly these words."""

HOLDS_SEATS = "status IN ('SEATS_RESERVED', 'PAYMENT_PENDING', 'PAYMENT_PROCESSING')"
"""The order holds seats that it has not bought."""

HAS_ENDED_WITHOUT_SEATS = "status IN ('FAILED', 'EXPIRED')"
"""The order has ended and its seats were released."""
