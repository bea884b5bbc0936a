"""Every address of the web service, but for health, metrics and the API's description (kernel)."""

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.web import assets, gateway, handbook, handlers, metrics_overview, rota_handlers
from tocsin.web.lists import alerts as alerts_list
from tocsin.web.lists import incidents as incidents_list
from tocsin.web.lists import messages, opening

TO_ALERTS = gateway.forward_to(alerts.PEER, lambda settings: settings.alert_ingestion_url)
TO_INCIDENTS = gateway.forward_to(incidents.PEER, lambda settings: settings.incident_management_url)
TO_ONCALL = gateway.forward_to(oncall.PEER, lambda settings: settings.oncall_service_url)
TO_NOTIFICATIONS = gateway.forward_to(notifications.PEER, lambda settings: settings.notification_service_url)
REST = "{rest:(/.*)?}"

ROUTES = [
    web.get("/", handlers.get_now, name="now"),
    web.get("/incidents", incidents_list.get_incidents, name="incidents"),
    web.post("/incidents", opening.post_incident),
    web.get("/incidents/new", opening.get_new, name="new"),
    web.get("/incidents/bulk", incidents_list.get_bulk),
    web.post("/incidents/bulk", incidents_list.post_bulk),
    web.post("/incidents/filters", incidents_list.post_filter),
    web.post("/incidents/filters/forget", incidents_list.post_forget),
    web.get("/incidents/{incident}", handlers.get_incident, name="incident"),
    web.get("/incidents/{incident}/review.md", handlers.get_review),
    web.post("/incidents/{incident}/{verb:acknowledge|start|resolve}", handlers.post_change),
    web.post("/incidents/{incident}/escalate", handlers.post_escalate),
    web.post("/incidents/{incident}/notes", handlers.post_note),
    web.get("/oncall", rota_handlers.get_oncall, name="oncall"),
    web.get("/oncall/{schedule}", rota_handlers.get_schedule),
    web.post("/oncall/{schedule}", rota_handlers.post_schedule),
    web.get("/metrics-overview", metrics_overview.get_metrics),
    web.get("/metrics-overview/{name}.csv", metrics_overview.get_file),
    web.get("/handbook/{page}", handbook.get_page),
    web.get("/alerts", alerts_list.get_alerts, name="alerts"),
    web.get("/alerts/{alert_id}", alerts_list.get_alert, name="alert"),
    web.get("/notifications", messages.get_messages, name="notifications"),
    web.post("/notifications/{notification_id}/redeliver", messages.post_redeliver),
    web.post("/preferences/name", handlers.post_name),
    web.post("/preferences/theme", handlers.post_theme),
    web.post("/preferences/keys", handlers.post_keys),
    web.get("/static/{digest}/{name:.+}", assets.get_asset, name="static"),
    web.route("*", "/api/v1/alerts" + REST, TO_ALERTS),
    web.route("*", "/api/v1/receivers" + REST, TO_ALERTS),
    web.route("*", "/api/v1/incidents" + REST, TO_INCIDENTS),
    web.route("*", "/api/v1/schedules" + REST, TO_ONCALL),
    web.route("*", "/api/v1/oncall" + REST, TO_ONCALL),
    web.route("*", "/api/v1/escalate", TO_ONCALL),
    web.route("*", "/api/v1/escalations" + REST, TO_ONCALL),
    web.route("*", "/api/v1/notify", TO_NOTIFICATIONS),
    web.route("*", "/api/v1/notifications" + REST, TO_NOTIFICATIONS),
]
