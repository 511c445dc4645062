"""`ops-assist backtest` and `rules promote` behind their options: what is read, what is known, what is printed."""
