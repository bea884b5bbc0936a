"""The names of the services, as their logs, metrics and error messages have them."""

from typing import Final

ALERT_INGESTION: Final = "alert-ingestion"
INCIDENT_MANAGEMENT: Final = "incident-management"
ONCALL_SERVICE: Final = "oncall-service"
NOTIFICATION_SERVICE: Final = "notification-service"
