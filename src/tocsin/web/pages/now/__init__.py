"""Now: unacknowledged incidents, who is on call, response times."""
