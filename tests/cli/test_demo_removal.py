"""Removal of the demo data from a database with incidents of the user's own."""

from uuid import UUID

import pytest

from tests.support.cli.processes import tocsin
from tests.support.postgres import run
from tocsin.cli.demo.dataset import PEOPLE, TEAM_NAMES

INCIDENT = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
PAGES = ((UUID(int=1), PEOPLE[0]), (UUID(int=2), "Grace"))
"""Ids and recipients: someone of the demo, and someone of the user's own."""


@pytest.fixture
def dsn(db_dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in which an incident of the user's own went to a demo team."""
    monkeypatch.setenv("DATABASE_URL", db_dsn)
    values = {"id": INCIDENT, "team": TEAM_NAMES[0], "person": PEOPLE[0]}
    run(db_dsn, "INSERT INTO oncall.team (id, name) VALUES (gen_random_uuid(), %(team)s)", values)
    run(
        db_dsn,
        "INSERT INTO incidents.incident (id, title, service, severity, team, assigned_to)"
        " VALUES (%(id)s, 'Broken', 'shop', 'high', %(team)s, %(person)s)",
        values,
    )
    run(
        db_dsn,
        "INSERT INTO oncall.escalation"
        " (incident_id, incident, team, team_reason, assigned_to, timeout_seconds, next_action_at)"
        """ VALUES (%(id)s, '{"service": "shop"}', %(team)s, 'the oldest team', %(person)s, 300, tocsin.now())""",
        values,
    )
    for page, person in PAGES:
        run(
            db_dsn,
            "INSERT INTO oncall.page (id, incident_id, team, step, level, person, channel, address, reason)"
            " VALUES (%(page)s, %(id)s, %(team)s, 1, 'primary', %(to)s, 'mock', %(to)s, 'on call')",
            {**values, "page": page, "to": person},
        )
    return db_dsn


async def test_without_another_team_an_incident_goes_to_the_default_team(dsn: str) -> None:
    assert (await tocsin("demo", "remove")).status == 0
    (incident,) = run(dsn, "SELECT team, assigned_to, status FROM incidents.incident")
    assert incident == {"team": "default", "assigned_to": None, "status": "open"}
    (escalation,) = run(dsn, "SELECT team, assigned_to, stopped_at FROM oncall.escalation")
    assert escalation == {"team": "default", "assigned_to": None, "stopped_at": None}, "it goes on"
    assert run(dsn, "SELECT person, team FROM oncall.page") == [{"person": "Grace", "team": "default"}]
    assert run(dsn, "SELECT DISTINCT incident_id FROM oncall.stale"), "pager load is computed again"


@pytest.mark.parametrize(("owner", "team"), [("Shop", "Shop"), (None, "Oldest")])
async def test_an_incident_goes_to_the_owner_of_its_service_or_to_the_oldest_team(
    dsn: str, owner: str | None, team: str
) -> None:
    for name in ("tocsin-drill", "Oldest", "Shop"):
        run(dsn, "INSERT INTO oncall.team (id, name) VALUES (gen_random_uuid(), %(name)s)", {"name": name})
    if owner:
        run(
            dsn,
            "INSERT INTO oncall.service (name, team_id) SELECT 'shop', id FROM oncall.team WHERE name = %(owner)s",
            {"owner": owner},
        )
    assert (await tocsin("demo", "remove")).status == 0
    assert run(dsn, "SELECT team FROM incidents.incident") == [{"team": team}]
    assert run(dsn, "SELECT team FROM oncall.escalation") == [{"team": team}]
