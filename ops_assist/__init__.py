"""The command line for people, and what puts the services together: `up` and the front door."""
