"""What producers already speak, read as the same events: one module a protocol, pure functions of a request's body."""
