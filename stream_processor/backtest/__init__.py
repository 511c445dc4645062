"""What rules would have done: the detection of the live processor over files or a range of a topic.

Read in this order: `findings` (what is found), `rule_run` (one set of rules over one log), `inputs` (what people and
the clock did between events), `file_log` (events of files get their places), `files` and `topic_range` (where events
come from), `passes` (many processes, one answer), `compare` and `live` (what differs from what), `report` (what is
told), `scores` (on known faults) and `page` (the same as a picture).
"""
