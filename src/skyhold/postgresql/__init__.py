"""PostgreSQL as Skyhold uses it: sessions that are all alike, a pool of them, and what the driver's errors mean.

The only place that knows the driver. Statements are the stores', the queries' and the simulated gateway's.
"""
