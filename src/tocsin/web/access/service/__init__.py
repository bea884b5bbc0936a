"""Use cases of accounts: functions over `Deps`, each in transactions of its own."""

from dataclasses import dataclass

from aiohttp import web

from tocsin.kernel.db import Database
from tocsin.web.access.service.password_hashing import PasswordHashing
from tocsin.web.settings import Settings


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies of the use cases."""

    db: Database
    settings: Settings
    passwords: PasswordHashing


DEPS = web.AppKey("DEPS", Deps)
