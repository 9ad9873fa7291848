"""Readers of Temporal and Redis that the worker, the reconciler and the audit share; each judges by itself."""
