"""HTTP in, validated events out to `ops.events`; nothing is answered 2xx before the broker has it (CONTRACT 2)."""
