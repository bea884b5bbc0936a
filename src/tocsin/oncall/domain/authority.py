"""Which teams a principal may change, and which people."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from tocsin.contracts.people import ChangePerson, Person
from tocsin.kernel.errors import ForbiddenError


@dataclass(frozen=True, slots=True)
class Authority:
    """What a principal may change here."""

    everything: bool
    """Admins, our services and open principals change every team."""
    person_id: UUID | None = None
    """The principal's person, if they may change their own."""
    teams: frozenset[str] = frozenset()
    """The names of the teams of which that person is a manager."""

    def manages(self, team: str) -> bool:
        """Return whether the principal may change *team*."""
        return self.everything or team in self.teams

    def require_team(self, team: str) -> None:
        """Raise ForbiddenError unless the principal may change *team*."""
        if not self.manages(team):
            msg = f"Only the managers of {team} and admins may change this team, its people and its schedule."
            raise ForbiddenError(msg)

    def require_new_team(self) -> None:
        """Raise ForbiddenError unless the principal may create teams."""
        if not self.everything:
            msg = "Only admins may create a team with its schedule; its managers change it then."
            raise ForbiddenError(msg)

    def require_new_person(self) -> None:
        """Raise ForbiddenError unless the principal may add a person, who belongs to no team yet."""
        if not (self.everything or self.teams):
            msg = "Only managers of a team and admins may add people."
            raise ForbiddenError(msg)

    def require_change(self, person: Person, change: ChangePerson) -> None:
        """Raise ForbiddenError unless the principal may make the *change*.

        People may change their own name, but not their e-mail address, which determines to whose contacts a page goes.
        """
        if change.email in {None, person.email} and self.person_id == person.id:
            return
        self._require_person(person, "change their name and e-mail address; people may change their own name")

    def require_deletion(self, person: Person) -> None:
        """Raise ForbiddenError unless the principal may delete *person*."""
        self._require_person(person, "delete them")

    def _require_person(self, person: Person, what: str) -> None:
        if self.everything or (person.teams and all(item.team in self.teams for item in person.teams)):
            return
        msg = f"{person.name} belongs to {_teams(item.team for item in person.teams)}. Only admins, and managers of "
        msg += f"all their teams, may {what}."
        raise ForbiddenError(msg)


def _teams(names: Iterable[str]) -> str:
    return ", ".join(names) or "no team"
