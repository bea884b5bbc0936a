"""Use cases of accounts: functions over `Deps`, each in transactions of its own. Routes decide who may call them."""

from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from tocsin.kernel.db import Database
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.access.repository.sessions import Lifetime
from tocsin.web.access.service.passwords import Passwords
from tocsin.web.access.service.seen_identities import SeenIdentities
from tocsin.web.settings import Settings


def deleted_rows(registry: CollectorRegistry) -> Counter:
    """Declare the counter of the rows that the retention deletes."""
    counter = Counter(
        "tocsin_retention_deleted_rows_total",
        "Rows deleted one by one because they were past the retention.",
        ["table"],
        registry=registry,
    )
    counter.labels("audit")
    return counter


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    """Of the schema `access`."""
    settings: Settings
    passwords: Passwords = field(default_factory=Passwords)
    seen: SeenIdentities = field(default_factory=SeenIdentities)
    provider: OpenIDProvider | None = None
    """The company's OpenID provider, if there is one."""
    deleted: Counter = field(default_factory=lambda: deleted_rows(CollectorRegistry()))
    """Counts the rows that the retention deletes."""

    @property
    def lifetime(self) -> Lifetime:
        """How long a session lasts."""
        return Lifetime(idle_days=self.settings.session_idle_days, days=self.settings.session_days)


DEPS = web.AppKey("ACCESS_DEPS", Deps)
