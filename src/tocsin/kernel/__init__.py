"""Infrastructure that every service uses. It knows nothing of alerts, incidents or on-call."""
