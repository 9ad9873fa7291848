"""The payment gateway: its interface and the simulated implementation. No retries, no order state."""
