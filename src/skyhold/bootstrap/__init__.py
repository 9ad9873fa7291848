"""Composition root: builds pools, clients and stores from the settings, and a worker or an API from those.

One module for each composed thing, so that a command loads no more than it needs.
"""
