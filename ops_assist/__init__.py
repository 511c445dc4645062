"""The command line for people, what puts the services together (`up`, the front door), a client for applications."""
