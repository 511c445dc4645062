"""Is an incident what the log says it is? The detection runs once more over the records that led to it.

Read in this order: `evidence` (what was published of an incident), `check` (the detection over it, and the verdict),
`source` (where both come from), `routes` (the answer over HTTP), `app` (served alone or behind the front door).
"""
