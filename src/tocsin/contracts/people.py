"""The wire models of people and their teams."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from tocsin.contracts.contact_types import Email, ShownAddress
from tocsin.contracts.model import Instant, Line, Model


class TeamRole(StrEnum):
    """What a person may do for a team."""

    MEMBER = "member"
    MANAGER = "manager"
    """May change the team: its people, schedules and services."""


class PersonIn(Model):
    """A person."""

    name: Line
    email: Email
    """Unique, whatever the case of its letters."""


class ChangePerson(Model):
    """Changes of a person; what is left out stays as it is."""

    name: Line | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        """Check that something is changed."""
        if self.name is None and self.email is None:
            msg = "give a name, an email, or both"
            raise ValueError(msg)
        return self


class Membership(Model):
    """A team that a person belongs to."""

    team_id: UUID
    team: str
    role: TeamRole


class Person(Model):
    """A person, with their teams by name."""

    id: UUID
    name: str
    email: ShownAddress
    version: int
    """Incremented by each change."""
    created_at: Instant
    teams: list[Membership]


class TeamPerson(Model):
    """A person of a team."""

    id: UUID
    name: str
    email: ShownAddress
    role: TeamRole


class Team(Model):
    """A team, with its people and services by name."""

    id: UUID
    name: str
    created_at: Instant
    people: Annotated[list[TeamPerson], Field(max_length=1_000)]
    services: list[str]


class MembershipIn(Model):
    """A person's role in a team."""

    role: TeamRole = TeamRole.MEMBER
