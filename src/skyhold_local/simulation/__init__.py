"""Simulated customers: a crowd that books seats over the public HTTP API, and tells what came of it.

It knows what docs/rules.md says and nothing else of a Skyhold: no SQL, no Temporal, no Redis. A crowd (`crowd.py`) is
made of customers (`customers.py`), each with trips in mind (`trips.py`), a liking for certain seats (`seats.py`) and a
cookie of their own (`guests.py`).
"""
