"""Why there is an incident, or none: the detection run once more over what a service has sent.

Read in this order: `history` (what is looked back at), `replay` (the detection over it), `report` (what is told of each
rule), `source` (where events come from), `routes` (the answer over HTTP), `app` (served alone).
"""
