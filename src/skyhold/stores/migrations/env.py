"""Run migrations on the connection that `skyhold.stores.schema` hands over; it holds the lock that keeps others out."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
