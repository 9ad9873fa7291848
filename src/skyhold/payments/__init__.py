"""The gateway that moves the money: what Skyhold asks of any, and the simulated one. No retries, no order state."""
