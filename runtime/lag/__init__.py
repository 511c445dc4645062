"""How far consumer groups are behind, in records and in seconds, how fast they are, and how that was within the hour.

`offsets` asks a cluster, `ages` looks at the records that come next, `history` makes rates and curves of it (pure), and
`watch` does all three at most every two seconds for whoever asks.
"""
