"""What the web pages read: the same as the lists, in one response."""

from tests.oncall.conftest import OnCall, person


async def test_a_board_has_who_is_on_call_in_the_newest_teams_and_the_escalations(oncall: OnCall) -> None:
    for team in ("Payments", "Search", "Mail"):
        await oncall.team(team, person(f"Ada of {team}"), person("Bob", role="secondary"))
    started = await oncall.start()
    board = await oncall.get("/api/v1/oncall/board", limit=2, incident_id=started["incident_id"])
    assert [team["team"] for team in board["teams"]] == ["Mail", "Search"]
    assert board["more_teams"] is True
    current = await oncall.get("/api/v1/oncall/current", team="Mail", at=board["teams"][0]["at"])
    assert board["teams"][0] == current
    found = await oncall.get("/api/v1/escalations", incident_id=started["incident_id"])
    assert board["escalations"] == found["items"]
    assert (await oncall.get("/api/v1/oncall/board", limit=3))["more_teams"] is False


async def test_a_listing_has_the_schedules_and_the_escalations(oncall: OnCall) -> None:
    await oncall.team("Payments", person("Ada"))
    started = await oncall.start()
    listing = await oncall.get("/api/v1/oncall/listing", incident_id=started["incident_id"])
    assert listing["schedules"] == await oncall.get("/api/v1/schedules")
    assert [item["incident_id"] for item in listing["escalations"]] == [started["incident_id"]]
    assert (await oncall.get("/api/v1/oncall/listing"))["escalations"] == []
