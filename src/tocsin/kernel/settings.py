"""Settings, read from the environment and validated once, at start-up."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, DirectoryPath, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tocsin.kernel.ip_addresses import parse_networks

S = TypeVar("S", bound=BaseSettings)
Seconds = Annotated[float, Field(gt=0, le=86_400)]
MaxStreams = Annotated[int, Field(ge=1, le=100_000)]
RetentionDays = Annotated[int, Field(ge=0, le=36_500)]
"""0 stands for ever."""
FAILPOINT = "[a-z_.]+:(kill|raise|execute_then_raise|sleep)"
FILE_SUFFIX = "_FILE"
HOST_NAME = r"(\*|\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)"


def http_url(value: str) -> str:
    """Return *value* without a trailing slash; raise ValueError if it is not an absolute http or https URL."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = "not a URL such as http://127.0.0.1:8002"
        raise ValueError(msg)
    return value.rstrip("/")


def networks(value: str) -> str:
    """Return *value*; raise ValueError if it is not a list of networks."""
    parse_networks(value)
    return value


HTTPURL = Annotated[str, AfterValidator(http_url)]
Networks = Annotated[str, AfterValidator(networks)]


class ProcessSettings(BaseSettings):
    """The settings of every process. A secret can be in the file that `<NAME>_FILE` names."""

    # An empty variable counts as unset: compose files pass on unset variables as empty ones.
    model_config = SettingsConfigDict(
        env_prefix="", env_ignore_empty=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    bind_address: str = "127.0.0.1"
    """The address to listen on; loopback by default."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """The port to listen on; 0 selects a free one."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """The lowest level that is logged."""
    cors_origins: Annotated[str, Field(pattern=r"^(https?://[^\s,/]+(,https?://[^\s,/]+)*)?$")] = ""
    """Origins, separated by commas, whose pages may call the API. None by default."""
    public_url: HTTPURL | None = None
    """The URL of the web pages. Messages link to it, and its host is allowed in the `Host` header."""
    allowed_hosts: Annotated[str, Field(pattern=rf"^({HOST_NAME}(,{HOST_NAME})*)?$")] = ""
    """Host names, separated by commas, that requests may use besides localhost, IP addresses, the services' own names
    and the host of PUBLIC_URL. `*` allows any name, also that of a hostile page."""
    published_address: str = ""
    """In a container, the address of the machine on which its ports are published; compose passes its BIND_ADDRESS."""
    allow_open_network: bool = False
    """Whether other machines may reach Tocsin although ACCESS is `open`, so that whoever reaches it may do everything:
    behind a proxy that authenticates users, for example. Otherwise a process with another than a loopback address in
    BIND_ADDRESS, PUBLISHED_ADDRESS or PUBLIC_URL does not start, and requests that a proxy has forwarded get 403."""
    access: Annotated[str, Field(pattern="^(open|closed)$")] = "open"
    """`closed`: people log in, and programs have tokens. `open`: whoever reaches Tocsin may do everything, so it starts
    on loopback addresses only."""
    trusted_proxies: Networks = ""
    """Addresses and networks, separated by commas, of the proxies in front of Tocsin, or of its edge, that append their
    client to `X-Forwarded-For`. From others, this header is not read. If ACCESS is `open`, ALLOW_OPEN_NETWORK is
    required."""
    edge_key: SecretStr | None = None
    """The key, in Base64, with which the edge of the containers signs the address of its client. If set, only a client
    that the edge states can be one of TRUSTED_PROXIES."""
    service_key: SecretStr | None = None
    """The private Ed25519 key of this service, a JSON Web Key, with which it signs its calls of the other services.
    Services that check signatures refuse its calls without it."""
    service_keys: DirectoryPath | None = None
    """The folder with the public key of each service in `<service>.json`, to check the signatures of calls. Set both or
    neither: a service without keys accepts every call."""
    metrics_token: SecretStr | None = None
    """If set, `/metrics` requires it as `Authorization: Bearer`. Without it, and with ACCESS `closed`, `/metrics`
    requires an admin's token."""
    body_timeout_seconds: Seconds = 30.0
    """How long the body of a request may take to arrive; after that, the request is refused with 408."""
    max_connections: Annotated[int, Field(ge=16, le=100_000)] = 4_000
    """The maximum number of open connections. A further one replaces the oldest idle one, or is refused with 503 if all
    are in use."""
    idle_timeout_seconds: Seconds = 60.0
    """A connection on which no complete head of a request arrives within this time is closed."""
    body_memory_mib: Annotated[int, Field(ge=16, le=65_536)] = 96
    """The memory in MiB that the bodies of requests, and what is made of them, may use at a time. Further ones wait; a
    body that needs more is handled alone."""
    body_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long a request waits for memory for its body; after that it gets 503. While others wait, a large body has to
    arrive in half of this time."""
    drain_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """At shutdown, how long readiness is 503 while requests are still served, before the listening socket closes."""
    failpoint: Annotated[str, Field(pattern=f"^({FAILPOINT}(,{FAILPOINT})*)?$")] = ""
    """For tests of Tocsin itself: the failpoints to arm, such as `outbox.deliver:kill`."""
    instance: str = ""
    """The name of this replica in logs and traces; by default the host name and the process id."""

    @model_validator(mode="before")
    @classmethod
    def read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill `<name>` from the file named by `<NAME>_FILE`, unless `<NAME>` is set; an empty file counts as unset."""
        for name in cls.model_fields:
            path = os.environ.get(name.upper() + FILE_SUFFIX)
            if path and name not in values:
                try:
                    value = Path(path).read_text(encoding="utf-8").strip()
                    values |= {name: value} if value else {}
                except (OSError, UnicodeDecodeError) as exc:
                    reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
                    msg = f"{name.upper()}{FILE_SUFFIX} names {path}, which cannot be read: {reason}"
                    raise ValueError(msg) from None
        return values


def describe(error: ValidationError, settings: type[BaseSettings]) -> str:
    """Return one line per wrong setting: the variable, its value unless it is secret, and what is allowed."""
    lines = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]).upper() if item["loc"] else ""
        field = settings.model_fields.get(name.lower())
        if item["type"] == "missing":
            lines.append(f"{name} is not set. {field.description or '' if field else ''}".strip())
            continue
        secret = field is None or "Secret" in str(field.annotation)
        given = "" if secret else f" is {str(item['input'])[:100]!r}, which is not allowed"
        lines.append(f"{name}{given}: {item['msg'].removeprefix('Value error, ')}".removeprefix(": "))
    return "\n".join(lines)


def load(settings: type[S]) -> S:
    """Read *settings* from the environment; exit with 78 (EX_CONFIG) and a line for each wrong one."""
    try:
        return settings()
    except ValidationError as exc:
        message = describe(exc, settings)
    except SettingsError as exc:  # a list or an object that is not JSON; only the message names the field
        message = re.sub(r'.*field "(\w+)".*', lambda found: f"{found[1].upper()}: not a JSON document", str(exc))
    sys.stderr.write(message + "\n")
    raise SystemExit(os.EX_CONFIG)
