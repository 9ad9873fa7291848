"""The ledger's schema as Alembic migrations; plain SQL inside, one statement at a time."""
