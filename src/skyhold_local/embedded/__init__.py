"""Real servers on this machine, from wheels: PostgreSQL, Valkey, Temporal, and the supervisor of `skyhold up`.

Owns finding, starting, watching and stopping them. Knows nothing of flights, seats or orders; production names its
servers by address and does not use this package.
"""
