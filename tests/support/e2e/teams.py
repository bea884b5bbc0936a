"""Two teams in closed mode, with accounts for their people, and addresses that only some may see."""

from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.e2e.closed import PASSWORD, Closed, browser

OWN, OTHER = "Payments", "Search"
MIA, OTTO, SUE = "Mia Manager", "Otto Owner", "Sue Search"
EMAIL: Final = {name: f"{name.split()[0].lower()}.planted@halyard.example" for name in (MIA, OTTO, SUE)}
ALERT: Final = {"severity": "critical", "message": "p95 latency above 2 s"}


@dataclass(slots=True)
class Teams:
    """Payments, of which Mia is a manager and Otto a member, and Search, which is Sue's alone."""

    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """The ids of the teams, by name."""
    webhooks: dict[str, str] = field(default_factory=dict)
    """The webhook of each person, by name."""

    def addresses(self, *names: str) -> set[str]:
        """Return the addresses of people, as they would be found in a response: a webhook's secret is in its path."""
        return {EMAIL[name] for name in names} | {self.webhooks[name].rpartition("/")[2] for name in names}


async def create_teams(closed: Closed, receivers: str) -> Teams:
    """Create the teams, whose people are reached below the URL *receivers*, and accounts for Mia and Otto."""
    teams = Teams(webhooks={name: f"{receivers}/planted-hook-{name.split()[0].lower()}" for name in EMAIL})
    for team, names in ((OWN, (OTTO, MIA)), (OTHER, (SUE,))):
        members = [
            {
                "name": name,
                "email": EMAIL[name],
                "role": "secondary" if name == MIA else "primary",
                "contacts": [
                    {"channel": "webhook", "address": teams.webhooks[name]},
                    {"channel": "email", "address": EMAIL[name]},
                ],
            }
            for name in names
        ]
        body = {"team": team, "rotation_type": "weekly", "members": members, "services": [team.lower()]}
        teams.schedules[team] = await closed.call("POST", "oncall", "/api/v1/schedules", body)
    people = (await closed.call("GET", "oncall", "/api/v1/people"))["items"]
    teams.people = {person["name"]: person for person in people}
    teams.ids = {item["team"]: item["team_id"] for person in people for item in person["teams"]}
    manager = f"/api/v1/teams/{teams.ids[OWN]}/people/{teams.people[MIA]['id']}"
    await closed.call("PUT", "oncall", manager, {"role": "manager"})
    await create_person(closed, "manager", MIA, teams.people[MIA]["id"])
    await create_person(closed, "owner", OTTO, teams.people[OTTO]["id"])
    return teams


async def create_person(closed: Closed, caller: str, name: str, person_id: str) -> None:
    """Create a responder's account for a person, and a token for the *caller*."""
    email = f"{caller}@login.example"
    given = {"name": name, "email": email, "role": "responder", "person_id": person_id}
    invited = await closed.call("POST", "web", "/api/v1/accounts", given)
    async with browser() as session:
        key = invited["link"].partition("key=")[2]
        response = await closed.post_form(session, "/choose-password", key=key, password=PASSWORD)
        assert response.status == 303, await response.text()
    login = {"email": email, "password": PASSWORD, "token": "tests"}
    closed.tokens[caller] = (await closed.call("POST", "web", "/api/v1/login", login, by=None))["token"]
