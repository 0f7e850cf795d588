"""How Alembic runs our revisions: on a connection of `gateway.store.postgres.migrate`, all that are missing in one transaction.
Alembic itself executes this file."""

from alembic import context

from gateway.store.postgres.migrate import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
