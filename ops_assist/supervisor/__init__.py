"""How `ops-assist up` runs the whole pipeline on one machine and ends it without leaving anything behind."""
