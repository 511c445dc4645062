"""One command a module; each has an `app` that the command line finds by name."""
