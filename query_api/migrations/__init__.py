"""The schema of the view, step by step; run by `python -m query_api.migrate`."""
