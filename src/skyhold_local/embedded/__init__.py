"""Real servers on this machine, from wheels: PostgreSQL, Valkey, Temporal, and the supervisor of `skyhold up`.

Owns how they are found, started, watched, stopped and found again. Knows nothing of flights, seats or orders;
production names its servers by address and never comes here.
"""
