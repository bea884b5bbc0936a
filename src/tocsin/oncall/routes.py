"""Routes of oncall-service."""

from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import delete, get, patch, post, put
from tocsin.oncall import handlers

ROUTES = [
    post("/api/v1/schedules", handlers.post_schedule, scope=Scope.MANAGE),
    get("/api/v1/schedules", handlers.list_schedules, scope=Scope.READ),
    get("/api/v1/schedules/{schedule_id}", handlers.get_schedule, name="schedule", scope=Scope.READ),
    put("/api/v1/schedules/{schedule_id}", handlers.put_schedule, scope=Scope.MANAGE),
    get("/api/v1/people", handlers.list_people, scope=Scope.READ),
    post("/api/v1/people", handlers.post_person, scope=Scope.MANAGE),
    get("/api/v1/people/{person_id}", handlers.get_person, name="person", scope=Scope.READ),
    patch("/api/v1/people/{person_id}", handlers.patch_person, scope=Scope.MANAGE),
    delete("/api/v1/people/{person_id}", handlers.delete_person, scope=Scope.MANAGE),
    get("/api/v1/teams", handlers.list_teams, scope=Scope.READ),
    get("/api/v1/teams/{team_id}", handlers.get_team, scope=Scope.READ),
    put("/api/v1/teams/{team_id}/people/{person_id}", handlers.put_membership, scope=Scope.MANAGE),
    delete("/api/v1/teams/{team_id}/people/{person_id}", handlers.delete_membership, scope=Scope.MANAGE),
    get("/api/v1/oncall/current", handlers.get_current, scope=Scope.READ),
    get("/api/v1/oncall/upcoming", handlers.get_upcoming, scope=Scope.READ),
    get("/api/v1/oncall/overview", handlers.get_overview, scope=Scope.READ),
    get("/api/v1/oncall/board", handlers.get_board, scope=Scope.SERVICE),
    get("/api/v1/oncall/listing", handlers.get_listing, scope=Scope.SERVICE),
    post("/api/v1/escalate", handlers.post_escalate, scope=Scope.RESPOND),
    get("/api/v1/escalations", handlers.list_escalations, scope=Scope.READ),
    post("/api/v1/escalations", handlers.post_escalation, scope=Scope.SERVICE),
    post("/api/v1/escalations/running", handlers.post_running, scope=Scope.SERVICE),
    get("/api/v1/escalations/{incident_id}", handlers.get_escalation, scope=Scope.READ),
    post("/api/v1/escalations/{incident_id}/stop", handlers.post_stop, scope=Scope.SERVICE),
    post("/api/v1/escalations/{incident_id}/delivery-failed", handlers.post_delivery_failed, scope=Scope.SERVICE),
]
