"""The words everyone shares: events, incidents, analyses, status changes, topics and their codecs. Imports nobody."""
