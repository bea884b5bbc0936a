"""The names of the services, as logs, metrics and error messages have them, and of the actors that are no person."""

from typing import Final

ALERT_INGESTION: Final = "alert-ingestion"
INCIDENT_MANAGEMENT: Final = "incident-management"
ONCALL_SERVICE: Final = "oncall-service"
NOTIFICATION_SERVICE: Final = "notification-service"
WEB_UI: Final = "web-ui"
AUTO_RESOLVE: Final = "auto-resolve"
"""The actor that resolves an incident once its senders have resolved every alert."""
