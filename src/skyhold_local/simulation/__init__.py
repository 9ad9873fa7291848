"""Simulated customers: a crowd that books seats over the public HTTP API, checks its contract and counts the outcomes.

It relies on docs/rules.md only, and uses no SQL, Temporal or Redis. A crowd (`crowd.py`) consists of customers
(`customers.py`), each with planned trips (`trips.py`), seat preferences (`seats.py`) and a cookie (`guests.py`).
"""
