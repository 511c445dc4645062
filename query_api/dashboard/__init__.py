"""The dashboard: server-rendered pages for people, a client of the HTTP API and of nothing else."""
