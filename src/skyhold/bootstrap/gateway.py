"""The payment gateway, composed from the settings: the only place that chooses one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from skyhold.payments.gateway import PaymentGateway
from skyhold.payments.simulated import Behaviour, SimulatedGateway
from skyhold.postgresql.pools import Pool
from skyhold.settings import Settings


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings, pool: Pool) -> AsyncIterator[PaymentGateway]:
    """Open the gateway; charges under way at the end of the block are cut off, as if the gateway went down."""
    gateway = SimulatedGateway(pool, Behaviour(settings.payment_simulated_latency, settings.payment_failure_rate))
    try:
        yield gateway
    finally:
        await gateway.stop()
