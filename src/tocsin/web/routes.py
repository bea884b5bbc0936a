"""Every address of the web service, except health, metrics and the API's description (kernel)."""

from aiohttp import web

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.web import gateway, incident_actions
from tocsin.web.pages.alert import handlers as alert_page
from tocsin.web.pages.alerts import handlers as alerts_page
from tocsin.web.pages.analytics import handlers as analytics_page
from tocsin.web.pages.delivery import handlers as delivery_page
from tocsin.web.pages.handbook import handlers as handbook_page
from tocsin.web.pages.incident import handlers as incident_page
from tocsin.web.pages.incidents import handlers as incidents_page
from tocsin.web.pages.new_incident import handlers as new_incident_page
from tocsin.web.pages.now import handlers as now_page
from tocsin.web.pages.oncall import handlers as oncall_page
from tocsin.web.pages.schedule import handlers as schedule_page
from tocsin.web.ui import assets, preferences

TO_ALERTS = gateway.forward_to(alerts.PEER, lambda settings: settings.alert_ingestion_url)
TO_INCIDENTS = gateway.forward_to(incidents.PEER, lambda settings: settings.incident_management_url)
TO_ONCALL = gateway.forward_to(oncall.PEER, lambda settings: settings.oncall_service_url)
TO_NOTIFICATIONS = gateway.forward_to(notifications.PEER, lambda settings: settings.notification_service_url)
REST = "{rest:(/.*)?}"

ROUTES = [
    web.get("/", now_page.get_now, name="now"),
    web.get("/incidents", incidents_page.get_incidents, name="incidents"),
    web.post("/incidents", new_incident_page.post_incident),
    web.get("/incidents/new", new_incident_page.get_new, name="new"),
    web.get("/incidents/bulk", incidents_page.get_bulk),
    web.post("/incidents/bulk", incidents_page.post_bulk),
    web.post("/incidents/filters", incidents_page.post_filter),
    web.post("/incidents/filters/forget", incidents_page.post_forget),
    web.get("/incidents/{incident}", incident_page.get_incident, name="incident"),
    web.get("/incidents/{incident}/review.md", incident_page.get_postmortem),
    web.post("/incidents/{incident}/{verb:acknowledge|start|resolve}", incident_actions.post_change),
    web.post("/incidents/{incident}/escalate", incident_actions.post_escalate),
    web.post("/incidents/{incident}/notes", incident_actions.post_note),
    web.get("/oncall", oncall_page.get_oncall, name="oncall"),
    web.get("/oncall/{schedule}", schedule_page.get_schedule),
    web.post("/oncall/{schedule}", schedule_page.post_schedule),
    web.get("/analytics", analytics_page.get_analytics, name="analytics"),
    web.get("/analytics/{name}.csv", analytics_page.get_file),
    web.get("/metrics-overview", analytics_page.get_analytics),
    web.get("/metrics-overview/{name}.csv", analytics_page.get_file),
    web.get("/handbook/{page}", handbook_page.get_page),
    web.get("/alerts", alerts_page.get_alerts, name="alerts"),
    web.get("/alerts/{alert_id}", alert_page.get_alert, name="alert"),
    web.get("/notifications", delivery_page.get_messages, name="notifications"),
    web.post("/notifications/{notification_id}/redeliver", delivery_page.post_redeliver),
    web.post("/preferences/name", preferences.post_name),
    web.post("/preferences/theme", preferences.post_theme),
    web.post("/preferences/keys", preferences.post_keys),
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
