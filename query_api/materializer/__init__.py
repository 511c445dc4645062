"""Topics -> PostgreSQL: batches of records become rows, with the offsets in the same transaction as the data."""
