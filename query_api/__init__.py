"""The query API and the materializer: topics -> PostgreSQL -> HTTP, server-sent events and status changes."""
