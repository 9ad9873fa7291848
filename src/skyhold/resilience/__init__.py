"""Mechanisms against slow and failing servers: shared reads, circuit breakers, growing pauses."""
