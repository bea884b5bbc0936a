"""Settings of the web service, read from its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from aiohttp import web
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from tocsin.contracts.accounts import Role
from tocsin.kernel.loopback import secure_url
from tocsin.kernel.service_settings import ServiceSettings
from tocsin.kernel.settings import HTTPURL, MaxStreams, RetentionDays, Seconds

MIN_AUDIT_DAYS: Final = 30
"""As in sql/0019: somebody who breaks into the web service cannot delete its latest entries."""
NOT_REMOTE_USER: Final = frozenset({"authorization", "cookie", "forwarded", "host", "origin", "x-forwarded-for"})
"""Headers that have another meaning for Tocsin."""
DOMAIN: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"


def issuer_url(value: str) -> str:
    """Return *value* if it can be an issuer (OpenID Connect Core, section 2), or is empty. Raise ValueError."""
    if "?" in value:
        msg = "an issuer has no query"
        raise ValueError(msg)
    return secure_url(value) if value else value


def roles_of_groups(text: str) -> Mapping[str, Role]:
    """Return the role of each group in `group=role,group=role`. Raise ValueError for what people cannot have."""
    roles = {}
    for pair in text.split(",") if text else []:
        group, _, role = (part.strip() for part in pair.rpartition("="))
        if not group or role not in set(Role) - {Role.SENDER}:
            msg = f"use group=role, separated by commas; the roles are {', '.join(sorted(set(Role) - {Role.SENDER}))}"
            raise ValueError(msg)
        roles[group] = Role(role)
    return roles


def group_roles(text: str) -> str:
    """Return *text* as it is. Raise ValueError if it does not map groups to roles."""
    roles_of_groups(text)
    return text


class Settings(ServiceSettings):
    """The web service's own settings."""

    database_url: SecretStr = SecretStr("")
    """A libpq connection string, such as postgresql://user:password@host/name, of the database with the accounts. Only
    needed if ACCESS is `closed`."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """The port to listen on; 0 selects a free one."""
    alert_ingestion_url: HTTPURL = "http://127.0.0.1:8001"
    """Base URL of alert-ingestion."""
    incident_management_url: HTTPURL = "http://127.0.0.1:8002"
    """Base URL of incident-management."""
    oncall_service_url: HTTPURL = "http://127.0.0.1:8003"
    """Base URL of oncall-service."""
    notification_service_url: HTTPURL = "http://127.0.0.1:8004"
    """Base URL of notification-service."""
    remote_user_header: Annotated[str, Field(pattern="^([A-Za-z][A-Za-z0-9-]{0,63})?$")] = ""
    """The header, such as `X-Forwarded-Email`, in which a proxy of TRUSTED_PROXIES states the e-mail address of the
    person that it has authenticated, who is thereby logged in. The proxy must replace what its clients send in this
    header. Requires ACCESS `closed`."""
    part_seconds: Seconds = 1.5
    """How long a page waits for each service; one that does not respond in time is shown as unavailable."""
    session_idle_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How many days a log-in lasts without a request."""
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How many days a log-in lasts at most."""
    link_hours: Annotated[int, Field(ge=1, le=8_760)] = 72
    """How many hours a link to choose a password is valid."""
    login_failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 10
    """How many log-ins to an account may fail in a minute; further ones are refused until it has passed."""
    address_failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 30
    """How many log-ins from an address may fail in a minute; further ones are refused until it has passed. The
    addresses of an IPv6 network (/64) count as one."""
    oidc_issuer: Annotated[str, Field(max_length=512), AfterValidator(issuer_url)] = ""
    """The issuer of the company's OpenID provider, exactly as it states it. People can then log in by the provider, at
    which `PUBLIC_URL/login/oidc/callback` is registered. Requires ACCESS `closed`, PUBLIC_URL, OIDC_CLIENT_ID and
    OIDC_CLIENT_SECRET."""
    oidc_client_id: Annotated[str, Field(max_length=512)] = ""
    """The client id of Tocsin at the OpenID provider."""
    oidc_client_secret: SecretStr | None = None
    """The client secret of Tocsin at the OpenID provider."""
    oidc_name: Annotated[str, Field(min_length=1, max_length=60)] = "single sign-on"
    """The provider's name for people; the button on the page to log in has it."""
    oidc_scopes: Annotated[str, Field(pattern=r"^openid( [!#-\[\]-~]{1,128}){0,20}$")] = "openid email profile"
    """The scopes to request from the OpenID provider, separated by spaces; some state groups only for another scope."""
    oidc_groups_claim: Annotated[str, Field(min_length=1, max_length=128)] = "groups"
    """The claim in which the OpenID provider states a person's groups."""
    oidc_roles: Annotated[str, AfterValidator(group_roles)] = ""
    """Roles of groups of the OpenID provider, such as `sre=responder,platform=admin`; the one that allows most counts.
    If set, each log-in by the provider sets the account's role, and is refused without one of these groups."""
    oidc_create_accounts_from: Annotated[str, Field(pattern=rf"^({DOMAIN}(,{DOMAIN})*)?$")] = ""
    """Domains of e-mail addresses, separated by commas. Somebody whose confirmed address at the OpenID provider is of
    one of them gets an account at the first log-in: as a viewer, unless OIDC_ROLES gives another role. None by
    default."""
    tls_certificate: Path | None = None
    """A PEM file with a certificate, its chain, and its key unless TLS_KEY names another file. With it, the pages and
    the API of all services are served over TLS at TLS_PORT, and over plain HTTP, at PORT, on the loopback interface
    only. PUBLIC_URL has to begin with https://. In containers, the edge has the certificate instead."""
    tls_key: Path | None = None
    """A PEM file with the key of TLS_CERTIFICATE, without a password."""
    tls_port: Annotated[int, Field(ge=0, le=65_535)] = 8443
    """The port to listen on with TLS."""
    audit_days: RetentionDays = 400
    """How many days entries of the audit are kept, at least 30; 0 keeps them for ever."""
    max_streams: MaxStreams = 300
    """The maximum number of clients that follow the event stream of a process; a further one gets 503."""
    gateway_connect_seconds: Seconds = 2.0
    """How long connecting to a service may take."""
    gateway_response_seconds: Seconds = 8.0
    """How long a service may take to start its response once it has the request; after that, the client gets 503."""
    gateway_silence_seconds: Seconds = 30.0
    """How long a forwarded response may send no data. The event stream sends a line at least every 15 seconds."""
    gateway_write_seconds: Seconds = 10.0
    """How long a client may stop reading a forwarded response before its connection is closed."""

    @field_validator("audit_days")
    @classmethod
    def check_audit_days(cls, value: int) -> int:
        """Raise ValueError for fewer days than the database keeps the audit."""
        if 0 < value < MIN_AUDIT_DAYS:
            msg = f"must be 0 or at least {MIN_AUDIT_DAYS}"
            raise ValueError(msg)
        return value

    @field_validator("database_url")
    @classmethod
    def check_database_url(cls, value: SecretStr) -> SecretStr:
        """Raise ValueError for a database address that `check_dsn` refuses; an empty one is allowed here."""
        return ServiceSettings.check_database_url(value) if value.get_secret_value() else value

    @model_validator(mode="after")
    def check_oidc(self) -> Self:
        """Raise ValueError if only a part of what the log-in by an OpenID provider needs is set."""
        given = sorted(name.upper() for name in self.model_fields_set if name.startswith("oidc_"))
        needed = {
            "OIDC_ISSUER": self.oidc_issuer,
            "OIDC_CLIENT_ID": self.oidc_client_id,
            "OIDC_CLIENT_SECRET": self.oidc_client_secret,
            "PUBLIC_URL": self.public_url,
        }
        missing = [name for name, value in needed.items() if not value]
        if given and missing:
            msg = f"{', '.join(missing)} must be set, too, for a log-in by an OpenID provider ({', '.join(given)})"
            raise ValueError(msg)
        if given and self.access != "closed":
            msg = f"{given[0]} is set, but nobody logs in unless ACCESS is closed"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def check_public_url(self) -> Self:
        """Raise ValueError for a certificate without a URL that uses it."""
        if self.tls_certificate is not None and not (self.public_url or "").startswith("https://"):
            msg = "TLS_CERTIFICATE requires a PUBLIC_URL that begins with https://, the address that people use."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def check_remote_user_header(self) -> Self:
        """Raise ValueError for a header that has another meaning, or that no trusted proxy would set."""
        if self.remote_user_header.lower() in NOT_REMOTE_USER:
            msg = f"REMOTE_USER_HEADER cannot be {self.remote_user_header}, which is for something else."
            raise ValueError(msg)
        if self.remote_user_header and not self.trusted_proxies:
            msg = (
                "REMOTE_USER_HEADER requires TRUSTED_PROXIES, the addresses of the proxies that set this header: from"
                " others, it is ignored."
            )
            raise ValueError(msg)
        if self.remote_user_header and self.access != "closed":
            msg = "REMOTE_USER_HEADER requires ACCESS=closed: otherwise nobody has to log in."
            raise ValueError(msg)
        return self


SETTINGS = web.AppKey("SETTINGS", Settings)
