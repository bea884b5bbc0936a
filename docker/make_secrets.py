"""Write the secrets of the containers, each to a file that only the user who needs it can read.

It runs as root before every other container, at each start. The value of a secret is the first of these that exists:
its environment variable, the file that `<NAME>_FILE` names, the value created at an earlier start, 256 random bits.
The keys with which the services sign their calls are always created here; the public ones can be read by every service.
So is the key with which the edge signs the address of its client.
The argument `rotate` creates new values. No secret is ever printed.
"""

import base64
import os
import secrets
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tocsin.kernel.key_pair import create_key_pair, public_key_of

FOLDER = Path(os.environ.get("SECRETS_FOLDER", "/run/secrets"))
CREATED = FOLDER / "made"
"""The created values, readable by root only; all other files are derived from them at each start."""
DATABASE = 999
MIGRATE = 10006
EDGE = 99
SERVICES = {
    "alert-ingestion": ("tocsin_alerts", 10001),
    "incident-management": ("tocsin_incidents", 10002),
    "oncall-service": ("tocsin_oncall", 10003),
    "notification-service": ("tocsin_notifications", 10004),
    "web-ui": ("tocsin_access", 10005),
}
NOBODY = 65534
"""The user of Prometheus and of Alertmanager."""
PROGRAMS = ("alertmanager", "demo", "pipeline")
"""What has an account in closed mode, as in tocsin.program_accounts."""
PLACEHOLDER = "smtp://see-notification-service.invalid"
"""What oncall-service of the release before gets as the mail server: it only checks whether there is one."""
MAILPIT = "mailpit"
"""The mail catcher of the profile `mail`: used if it is running and no other server is configured."""


def main(arguments: list[str]) -> None:
    """Write all files; exit with an error message if that fails."""
    if arguments == ["rotate"]:
        for path in CREATED.glob("*"):
            path.unlink()
    elif arguments:
        sys.exit(f"Unknown command {' '.join(arguments)!r}; the only one is `rotate`.")
    owner = password("DATABASE_PASSWORD")
    write(FOLDER / "database" / "password", owner, DATABASE)
    write(FOLDER / "migrate" / "database_url", database_url("tocsin", owner), MIGRATE)
    for program in PROGRAMS:
        write(FOLDER / "migrate" / "tokens" / program, token(program), MIGRATE)
    write(FOLDER / "alertmanager" / "token", token("alertmanager"), NOBODY)
    scraper = metrics_token()
    write(FOLDER / "prometheus" / "metrics_token", scraper, NOBODY)
    edge_key = created("edge_key", lambda: base64.b64encode(secrets.token_bytes(32)).decode("ascii"))
    write(FOLDER / "edge" / "edge_key", edge_key, EDGE)
    server, sender = mail()
    for service, (role, user) in SERVICES.items():
        role_password = password(f"{role.upper()}_PASSWORD")
        write(FOLDER / service / "database_url", database_url(role, role_password), user)
        write(FOLDER / "migrate" / "roles" / role, role_password, MIGRATE)
        write(FOLDER / service / "edge_key", edge_key, user)
        if service == "notification-service":
            write(FOLDER / service / "smtp_url", server, user)
            write(FOLDER / service / "smtp_from", sender, user)
        write(FOLDER / service / "metrics_token", scraper, user)
        private = created(f"{service}_key", lambda: create_key_pair().private)
        write(FOLDER / service / "service_key", private, user)
        write(FOLDER / "service_keys" / f"{service}.json", public_key_of(private), user, mode=0o444)
        if service == "oncall-service":
            write(FOLDER / service / "email_enabled", "yes" if server else "", user)
            write(FOLDER / service / "smtp_url", PLACEHOLDER if server else "", user)
    sys.stdout.write("the secrets are in place\n")


def given(name: str) -> str:
    """Return the value of a variable, or of the file that it names; empty if neither is set."""
    value = os.environ.get(name, "")
    path = os.environ.get(f"{name}_FILE", "")
    if value or not path:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        sys.exit(f"{name}_FILE names {path}, which cannot be read: {exc}")


def password(name: str) -> str:
    """Return the given password, or the stored one, which is created first if needed."""
    return given(name) or created(name.lower(), lambda: secrets.token_urlsafe(32))


def created(name: str, create: Callable[[], str]) -> str:
    """Return the stored value of that name, which is created first if needed."""
    stored = CREATED / name
    if not stored.exists():
        write(stored, create(), 0)
    return stored.read_text(encoding="utf-8")


def token(program: str) -> str:
    """Return the token of a program's account."""
    return created(f"{program}_token", lambda: f"tocsin_sat_{secrets.token_urlsafe(32)}")


def metrics_token() -> str:
    """Return what `/metrics` requires: the given token, in closed mode else one of its own; empty for nothing."""
    if found := given("METRICS_TOKEN"):
        return found
    return password("METRICS_TOKEN") if os.environ.get("ACCESS") == "closed" else ""


def database_url(user: str, user_password: str) -> str:
    """Return the connection URL of a database user."""
    return f"postgresql://{user}:{quote(user_password, safe='')}@database:5432/tocsin"


def mail() -> tuple[str, str]:
    """Return the URL of the mail server and the sender; both are empty without a mail server."""
    server, sender = given("SMTP_URL"), given("SMTP_FROM")
    if server:
        return server, sender
    try:
        socket.getaddrinfo(MAILPIT, None)
    except OSError:
        return "", ""
    return f"smtp://{MAILPIT}:1025", sender or "tocsin@tocsin.example"


def write(path: Path, text: str, user: int, *, mode: int = 0o400) -> None:
    """Atomically write a file that by default only *user* can read."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w", encoding="utf-8") as file:
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
