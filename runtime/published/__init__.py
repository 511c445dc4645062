"""What is published of the records: JSON Schemas, an AsyncAPI document, and whether releases understand each other."""
