"""The list pages: incidents, alerts, messages. What is shown is in the address, so that it can be sent to somebody."""
