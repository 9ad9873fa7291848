"""A simulated crowd with faults: lost replies, double clicks, forbidden requests, contention. `make crowd` runs it."""
