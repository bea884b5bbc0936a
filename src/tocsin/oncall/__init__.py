"""oncall-service: who is on call, and the escalations that page them until an incident is acknowledged."""
