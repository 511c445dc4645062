"""Detection: rules, windows and the life of incidents as pure functions, and one module of Faust wiring.

Read in this order: `rules` and `matching` (what a rule is), `rule_fields` and `rule_files` (rules as YAML), `ledger`
(how each event ends), `sliding` (k within w, out of order too), `tumbling` (counts by minute), `recent_ids` (the same
id counts once), `span` (an incident as state), `state` (all that is kept of a service), `sighting` (qualifying events
become incidents), `detection` (an event comes in), `lifecycle` (a person or the quiet period comes in), `sorting` (what
a record of the log holds), `partition` (what records decide), then `processor` and `app` (Kafka comes in). Rules of
other kinds than count: `kind_states` and `machines`, then `baseline` and `rate`, `ratio`, `patterns`, `log_clock` and
`absence`.
`rule_watch` and `rule_keeper` change rules while it runs; `layout`, `row_store` and `disk_rows` are where state lies.
`scenario_files`, `scenarios` and `scenario_results` test rules by the same functions; `explain` tells by them what was,
`backtest` what would have been, `verify` whether it is true.
"""
