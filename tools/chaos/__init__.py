"""Chaos: customers book while a monkey injects faults; then the invariants must hold. `make chaos` runs it."""
