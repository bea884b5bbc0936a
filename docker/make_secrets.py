"""Make the secrets of a Tocsin in containers, each in a file that the one user who needs it can read.

Runs as root before everything else, at each start. A secret is, in this order: what its environment variable says, what
the file says that `<NAME>_FILE` names, what was made at an earlier start, or 256 random bits. `rotate` as the only
argument makes new ones. Nothing secret is ever printed.
"""

import os
import secrets
import socket
import sys
from pathlib import Path
from urllib.parse import quote

FOLDER = Path(os.environ.get("SECRETS_FOLDER", "/run/secrets"))
OWN = FOLDER / "made"
"""What was made here, for root only: all other files are written from it at each start."""
DATABASE = 999
MIGRATE = 10006
SERVICES = {
    "alert-ingestion": ("tocsin_alerts", 10001),
    "incident-management": ("tocsin_incidents", 10002),
    "oncall-service": ("tocsin_oncall", 10003),
    "notification-service": ("tocsin_notifications", 10004),
}
MAILERS = {"oncall-service", "notification-service"}
"""One asks whether there is a mail server, the other uses it."""
MAILPIT = "mailpit"
"""The mail catcher of the profile `mail`: where it runs and no other server is given, mail goes there."""


def main(arguments: list[str]) -> None:
    """Write every file; exit with one line where that cannot be done."""
    if arguments == ["rotate"]:
        for path in OWN.glob("*"):
            path.unlink()
    elif arguments:
        sys.exit(f"There is no command {' '.join(arguments)!r}, only `rotate`.")
    owner = password("DATABASE_PASSWORD")
    write(FOLDER / "database" / "password", owner, DATABASE)
    write(FOLDER / "migrate" / "database_url", database_url("tocsin", owner), MIGRATE)
    server, sender = mail()
    for service, (role, user) in SERVICES.items():
        made = password(f"{role.upper()}_PASSWORD")
        write(FOLDER / service / "database_url", database_url(role, made), user)
        write(FOLDER / "migrate" / "roles" / role, made, MIGRATE)
        if service in MAILERS:
            write(FOLDER / service / "smtp_url", server, user)
            write(FOLDER / service / "smtp_from", sender, user)
    sys.stdout.write("the secrets are in place\n")


def given(name: str) -> str:
    """Return what the environment, or a file that it names, says; empty where it says nothing."""
    value = os.environ.get(name, "")
    path = os.environ.get(f"{name}_FILE", "")
    if value or not path:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        sys.exit(f"{name}_FILE names {path}, which cannot be read: {exc}")


def password(name: str) -> str:
    """Return a password that is given, was made before, or is made now and kept."""
    kept = OWN / name.lower()
    if not given(name) and not kept.exists():
        write(kept, secrets.token_urlsafe(32), 0)
    return given(name) or kept.read_text(encoding="utf-8")


def database_url(user: str, made: str) -> str:
    """Return the address of the database for one of its users."""
    return f"postgresql://{user}:{quote(made, safe='')}@database:5432/tocsin"


def mail() -> tuple[str, str]:
    """Return the mail server's address and the sender, both empty where there is none."""
    server, sender = given("SMTP_URL"), given("SMTP_FROM")
    if server:
        return server, sender
    try:
        socket.getaddrinfo(MAILPIT, None)
    except OSError:
        return "", ""
    return f"smtp://{MAILPIT}:1025", sender or "tocsin@tocsin.example"


def write(path: Path, text: str, user: int) -> None:
    """Put *text* into a file that *user* alone can read, whole or not at all."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o400), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chown(temporary, user, user)
    temporary.rename(path)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as exc:
        sys.exit(f"the secrets could not be written: {exc}")
