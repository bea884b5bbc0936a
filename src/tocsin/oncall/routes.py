"""Routes of oncall-service."""

from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import delete, get, patch, post, put
from tocsin.oncall.handlers import paging, teams

# Matches an id only, so that `/running` with a wrong method is a 405 instead of an unknown incident.
ESCALATION_PATH = "/api/v1/escalations/{incident_id:[0-9A-Fa-f-]+}"

ROUTES = [
    post("/api/v1/schedules", teams.post_schedule, scope=Scope.MANAGE),
    get("/api/v1/schedules", teams.list_schedules, scope=Scope.READ),
    get("/api/v1/schedules/{schedule_id}", teams.get_schedule, name="schedule", scope=Scope.READ),
    put("/api/v1/schedules/{schedule_id}", teams.put_schedule, scope=Scope.MANAGE),
    get("/api/v1/people", teams.list_people, scope=Scope.READ),
    post("/api/v1/people", teams.post_person, scope=Scope.MANAGE),
    get("/api/v1/people/{person_id}", teams.get_person, name="person", scope=Scope.READ),
    patch("/api/v1/people/{person_id}", teams.patch_person, scope=Scope.MANAGE),
    delete("/api/v1/people/{person_id}", teams.delete_person, scope=Scope.MANAGE),
    get("/api/v1/teams", teams.list_teams, scope=Scope.READ),
    get("/api/v1/teams/{team_id}", teams.get_team, scope=Scope.READ),
    put("/api/v1/teams/{team_id}/people/{person_id}", teams.put_membership, scope=Scope.MANAGE),
    delete("/api/v1/teams/{team_id}/people/{person_id}", teams.delete_membership, scope=Scope.MANAGE),
    get("/api/v1/oncall/current", paging.get_current, scope=Scope.READ),
    get("/api/v1/oncall/upcoming", paging.get_upcoming, scope=Scope.READ),
    get("/api/v1/oncall/overview", paging.get_overview, scope=Scope.READ),
    get("/api/v1/oncall/board", paging.get_board, scope=Scope.SERVICE),
    get("/api/v1/oncall/listing", paging.get_listing, scope=Scope.SERVICE),
    post("/api/v1/escalate", paging.post_escalate, scope=Scope.RESPOND),
    get("/api/v1/escalations", paging.list_escalations, scope=Scope.READ),
    post("/api/v1/escalations", paging.post_escalation, scope=Scope.SERVICE),
    post("/api/v1/escalations/running", paging.post_running, scope=Scope.SERVICE),
    get(ESCALATION_PATH, paging.get_escalation, scope=Scope.READ),
    post(ESCALATION_PATH + "/stop", paging.post_stop, scope=Scope.SERVICE),
    post(ESCALATION_PATH + "/delivery-failed", paging.post_delivery_failed, scope=Scope.SERVICE),
]
