"""The names of roles on pages."""

from typing import Final

from tocsin.contracts.accounts import Role

ROLE_LABELS: Final = {
    Role.RESPONDER: "Responder",
    Role.VIEWER: "Viewer",
    Role.ADMIN: "Admin",
    Role.SENDER: "Sender",
}
"""In the order in which they are offered."""
