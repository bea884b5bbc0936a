"""notification-service: delivers messages to people over channels, and records every attempt."""
