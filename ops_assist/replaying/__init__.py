"""Copying a range of a topic: `merged` (records in the order of their times), `kept` (of one service), `copy`."""
