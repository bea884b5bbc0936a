"""Every address of the web service, except health, metrics and the API's description (kernel)."""

from tocsin.clients import alerts, incidents, notifications, oncall
from tocsin.integrations import INTEGRATIONS
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import Route, any_method, delete, get, patch, post
from tocsin.web import account_api, audit_api, gateway, incident_actions
from tocsin.web.pages.account import handlers as account_page
from tocsin.web.pages.accounts import handlers as accounts_page
from tocsin.web.pages.alert import handlers as alert_page
from tocsin.web.pages.alerts import handlers as alerts_page
from tocsin.web.pages.analytics import handlers as analytics_page
from tocsin.web.pages.audit import handlers as audit_page
from tocsin.web.pages.delivery import handlers as delivery_page
from tocsin.web.pages.handbook import handlers as handbook_page
from tocsin.web.pages.incident import handlers as incident_page
from tocsin.web.pages.incidents import handlers as incidents_page
from tocsin.web.pages.login import handlers as login_page
from tocsin.web.pages.new_incident import handlers as new_incident_page
from tocsin.web.pages.now import handlers as now_page
from tocsin.web.pages.oncall import handlers as oncall_page
from tocsin.web.pages.schedule import handlers as schedule_page
from tocsin.web.pages.setup import handlers as setup_page
from tocsin.web.ui import assets, preferences

TO_ALERTS = gateway.forward_to(alerts.PEER, lambda settings: settings.alert_ingestion_url)
TO_INCIDENTS = gateway.forward_to(incidents.PEER, lambda settings: settings.incident_management_url)
TO_ONCALL = gateway.forward_to(oncall.PEER, lambda settings: settings.oncall_service_url)
TO_NOTIFICATIONS = gateway.forward_to(notifications.PEER, lambda settings: settings.notification_service_url)
REST = "{rest:(/.*)?}"
ALERTS = "/api/v1/alerts"

ROUTES = [
    get("/", now_page.get_now, name="now", scope=Scope.READ),
    get("/incidents", incidents_page.get_incidents, name="incidents", scope=Scope.READ),
    post("/incidents", new_incident_page.post_incident, scope=Scope.RESPOND),
    get("/incidents/new", new_incident_page.get_new, name="new", scope=Scope.RESPOND),
    get("/incidents/bulk", incidents_page.get_bulk, scope=Scope.READ),
    post("/incidents/bulk", incidents_page.post_bulk, scope=Scope.RESPOND),
    post("/incidents/filters", incidents_page.post_filter, scope=Scope.READ),
    post("/incidents/filters/delete", incidents_page.post_filter_deletion, scope=Scope.READ),
    get("/incidents/{incident}", incident_page.get_incident, name="incident", scope=Scope.READ),
    get("/incidents/{incident}/postmortem.md", incident_page.get_postmortem, scope=Scope.READ),
    post("/incidents/{incident}/{verb:acknowledge|start|resolve}", incident_actions.post_change, scope=Scope.RESPOND),
    post("/incidents/{incident}/escalate", incident_actions.post_escalate, scope=Scope.RESPOND),
    post("/incidents/{incident}/notes", incident_actions.post_note, scope=Scope.RESPOND),
    get("/oncall", oncall_page.get_oncall, name="oncall", scope=Scope.READ),
    get("/oncall/{schedule}", schedule_page.get_schedule, scope=Scope.READ),
    post("/oncall/{schedule}", schedule_page.post_schedule, scope=Scope.MANAGE),
    get("/analytics", analytics_page.get_analytics, name="analytics", scope=Scope.READ),
    get("/analytics/{name}.csv", analytics_page.get_file, scope=Scope.READ),
    get("/metrics-overview", analytics_page.get_analytics, scope=Scope.READ),
    get("/metrics-overview/{name}.csv", analytics_page.get_file, scope=Scope.READ),
    get("/handbook/{page}", handbook_page.get_page, scope=Scope.READ),
    get("/alerts", alerts_page.get_alerts, name="alerts", scope=Scope.READ),
    get("/alerts/{alert_id}", alert_page.get_alert, name="alert", scope=Scope.READ),
    get("/notifications", delivery_page.get_messages, name="notifications", scope=Scope.READ),
    post("/notifications/{notification_id}/redeliver", delivery_page.post_redeliver, scope=Scope.RESPOND),
    post("/preferences/name", preferences.post_name, scope=Scope.READ),
    post("/preferences/theme", preferences.post_theme, scope=Scope.READ),
    post("/preferences/keys", preferences.post_keys, scope=Scope.READ),
    get("/static/{digest}/{name:.+}", assets.get_asset, name="static", scope=Scope.PUBLIC),
    any_method(ALERTS + REST, TO_ALERTS, scope=Scope.FORWARD),
    any_method("/api/v1/incidents" + REST, TO_INCIDENTS, scope=Scope.FORWARD),
    any_method("/api/v1/schedules" + REST, TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/people" + REST, TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/teams" + REST, TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/oncall" + REST, TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/escalate", TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/escalations" + REST, TO_ONCALL, scope=Scope.FORWARD),
    any_method("/api/v1/notify", TO_NOTIFICATIONS, scope=Scope.FORWARD),
    any_method("/api/v1/notifications" + REST, TO_NOTIFICATIONS, scope=Scope.FORWARD),
]

ACCOUNT = "/api/v1/account"
ACCOUNTS = "/api/v1/accounts"
ACCOUNT_ROUTES = [
    get("/login", login_page.get_login, scope=Scope.PUBLIC),
    post("/login", login_page.post_login, scope=Scope.PUBLIC),
    get("/login/oidc", login_page.get_oidc, scope=Scope.PUBLIC, allow_head=False),
    get("/login/oidc/callback", login_page.get_oidc_callback, scope=Scope.PUBLIC, allow_head=False),
    post("/login/passkey/options", login_page.post_passkey_options, scope=Scope.PUBLIC),
    post("/login/passkey", login_page.post_passkey, scope=Scope.PUBLIC),
    post("/logout", login_page.post_logout, scope=Scope.PUBLIC),
    get("/setup", setup_page.get_setup, scope=Scope.PUBLIC),
    post("/setup", setup_page.post_setup, scope=Scope.PUBLIC),
    get("/choose-password", setup_page.get_choose_password, scope=Scope.PUBLIC),
    post("/choose-password", setup_page.post_choose_password, scope=Scope.PUBLIC),
    get("/account", account_page.get_account, scope=Scope.READ),
    post("/account/sessions/end-others", account_page.post_other_sessions_end, scope=Scope.READ),
    post("/account/sessions/{session_id}/end", account_page.post_session_end, scope=Scope.READ),
    post("/account/tokens", account_page.post_token, scope=Scope.READ),
    post("/account/tokens/{token_id}/revoke", account_page.post_token_revocation, scope=Scope.READ),
    post("/account/passkeys/options", account_page.post_passkey_options, scope=Scope.READ),
    post("/account/passkeys", account_page.post_passkey, scope=Scope.READ),
    post("/account/passkeys/{passkey_id}/remove", account_page.post_passkey_removal, scope=Scope.READ),
    post("/account/password", account_page.post_password, scope=Scope.READ),
    post("/account/oidc/unlink", account_page.post_oidc_unlink, scope=Scope.READ),
    get("/accounts", accounts_page.get_accounts, scope=Scope.ADMIN),
    post("/accounts", accounts_page.post_account, scope=Scope.ADMIN),
    post("/accounts/{account_id}", accounts_page.post_change, scope=Scope.ADMIN),
    post("/accounts/{account_id}/passkeys/remove", accounts_page.post_passkeys_removal, scope=Scope.ADMIN),
    post("/accounts/{account_id}/link", accounts_page.post_link, scope=Scope.ADMIN),
    post("/api/v1/login", account_api.post_login, scope=Scope.PUBLIC),
    get(ACCOUNT, account_api.get_own_account, scope=Scope.FORWARD),
    get(f"{ACCOUNT}/tokens", account_api.list_own_tokens, scope=Scope.READ),
    post(f"{ACCOUNT}/tokens", account_api.post_own_token, scope=Scope.READ),
    delete(f"{ACCOUNT}/tokens/{{token_id}}", account_api.delete_own_token, scope=Scope.READ),
    get(f"{ACCOUNT}/passkeys", account_api.list_own_passkeys, scope=Scope.READ),
    delete(f"{ACCOUNT}/passkeys/{{passkey_id}}", account_api.delete_own_passkey, scope=Scope.READ),
    get(ACCOUNTS, account_api.list_accounts, scope=Scope.ADMIN),
    post(ACCOUNTS, account_api.post_account, scope=Scope.ADMIN),
    get(f"{ACCOUNTS}/{{account_id}}", account_api.get_account, scope=Scope.ADMIN),
    patch(f"{ACCOUNTS}/{{account_id}}", account_api.patch_account, scope=Scope.ADMIN),
    post(f"{ACCOUNTS}/{{account_id}}/link", account_api.post_account_link, scope=Scope.ADMIN),
    get(f"{ACCOUNTS}/{{account_id}}/tokens", account_api.list_tokens, scope=Scope.ADMIN),
    post(f"{ACCOUNTS}/{{account_id}}/tokens", account_api.post_token, scope=Scope.ADMIN),
    delete(f"{ACCOUNTS}/{{account_id}}/tokens/{{token_id}}", account_api.delete_token, scope=Scope.ADMIN),
    delete(f"{ACCOUNTS}/{{account_id}}/passkeys", account_api.delete_passkeys, scope=Scope.ADMIN),
    get("/audit", audit_page.get_audit, scope=Scope.ADMIN),
    get("/audit/audit.csv", audit_page.get_file, scope=Scope.ADMIN, allow_head=False),
    get("/api/v1/audit", audit_api.list_audit, scope=Scope.ADMIN),
    post("/api/v1/access/audit", audit_api.post_entries, scope=Scope.SERVICE),
    post("/api/v1/access/introspect", account_api.post_introspection, scope=Scope.SERVICE),
    post("/api/v1/access/setup-link", account_api.post_setup_link, scope=Scope.SERVICE),
]
"""The addresses of accounts, which exist in closed mode only."""


def integration_routes() -> list[Route]:
    """Return the gateway's routes to the integrations whose path is not among those above."""
    paths = [integration.path for integration in INTEGRATIONS.values() if integration.path != ALERTS]
    return [any_method(path + REST, TO_ALERTS, scope=Scope.FORWARD) for path in paths]
