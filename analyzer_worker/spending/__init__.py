"""What models cost: `price` (before and after a call), `purse` (may it be spent?), `ledger` (in PostgreSQL)."""
