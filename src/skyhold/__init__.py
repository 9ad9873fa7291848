"""Skyhold books seats on flights: held under a durable timer, paid with a code, never sold twice."""

__version__ = "0.1.0"
