"""The brokers that the project can run by itself."""
