"""What every service runs on: settings, logging, metrics, health, problem answers and Kafka clients."""
