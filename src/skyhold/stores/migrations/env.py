"""Run migrations on the connection from `skyhold.stores.schema`, which holds the migration lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
