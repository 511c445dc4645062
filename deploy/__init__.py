"""What the pipeline runs on: brokers, PostgreSQL, images."""
