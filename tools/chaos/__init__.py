"""Chaos: customers book while a monkey breaks what it can reach; at the end all must be well. `make chaos` runs it."""
