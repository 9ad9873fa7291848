"""Benchmarks: Skyhold beside a floor of the same messages, in one run on one machine. `make bench` runs them."""
