"""How `ops-assist send` reads files of events and hands them to the pipeline, in bounded memory."""
