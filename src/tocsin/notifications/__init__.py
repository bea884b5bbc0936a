"""notification-service: delivers one message to one person over one channel, and proves it."""
