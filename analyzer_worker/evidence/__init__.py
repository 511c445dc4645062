"""What a model is told of an incident: drawn from the log in bounded memory and time, redacted, the same every time."""
