"""Routing of an incident to a team, and the explanation that people read."""

from enum import StrEnum


class RoutingRule(StrEnum):
    """The rule that matched a service to a team, in order of precedence."""

    NAME = "name"
    SERVICE = "service"
    DEFAULT = "default"
    OLDEST = "oldest"


def describe_routing(rule: RoutingRule | None, *, team: str, service: str, default_team: str) -> str:
    """Explain why an incident of *service* was routed to *team*; *rule* is None if there is no team."""
    if rule is RoutingRule.NAME:
        return f"the service has the name of the team {team}"
    if rule is RoutingRule.SERVICE:
        return f"{team} owns {service}"
    if rule is RoutingRule.DEFAULT:
        return f"no team owns {service}; {team} is the default team"
    if rule is RoutingRule.OLDEST:
        return f"no team owns {service}, the default team {default_team} does not exist; {team} is oldest"
    return "no team exists"
