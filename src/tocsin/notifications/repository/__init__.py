"""The statements of notification-service."""
