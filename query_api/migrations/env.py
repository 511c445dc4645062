"""Runs the steps on the connection that `query_api.migrate` hands in."""

from alembic import context

from query_api.models import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
