"""Access to PostgreSQL: uniform sessions, a pool of them, and the translation of the driver's errors.

The only package that uses the driver. Statements belong to the stores, the queries and the simulated gateway.
"""
