"""A release: one version of every image, and its configuration as a rendered compose file."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

RELEASE: Final = "tocsin.release"
"""Label of a service's replica: the release that started it."""
DEFINITION: Final = "tocsin.definition"
"""Label of every other container: a hash of its definition and image, equal in releases that do not change them."""
SCHEMA_LINE: Final = "tocsin.schema-line"
"""Label of an image: the content of sql/LINE. There is no upgrade between lines; older images have no such label."""
EDGE_TIER: Final = frozenset({"edge", "prometheus", "grafana", "alertmanager"})
NOT_DEPLOYED: Final = "demo"


@dataclass(frozen=True, slots=True)
class Release:
    """All that is needed to start a release, except for the images themselves."""

    id: str
    tag: str
    document: Mapping[str, Any]
    images: Mapping[str, str]
    """The image IDs, by service."""
    schema: str
    """The newest migration."""
    line: str | None
    """The schema line; None for a release that was made before there were lines."""

    @property
    def project(self) -> str:
        """The compose project."""
        return str(self.document["name"])

    @property
    def services(self) -> frozenset[str]:
        """The services that receive requests: their new replicas start before the old ones are drained."""
        return frozenset(name for name, service in self._permanent() if service["image"].endswith(f":{self.tag}"))

    @property
    def edge_tier(self) -> frozenset[str]:
        """The edge and the monitoring: replaced only if they change."""
        return frozenset(name for name, _ in self._permanent() if name in EDGE_TIER)

    @property
    def dependencies(self) -> frozenset[str]:
        """What the services depend on: the database."""
        return frozenset(name for name, _ in self._permanent()) - self.services - self.edge_tier

    def _permanent(self) -> list[tuple[str, Any]]:
        return [(name, service) for name, service in self.document["services"].items() if service["restart"] != "no"]

    def image(self, service: str) -> str:
        """Return the name of a service's image."""
        return str(self.document["services"][service]["image"])

    def label(self, service: str) -> str:
        """Return the label that identifies the containers of a service in this release."""
        labels = self.document["services"][service]["labels"]
        return str(labels.get(RELEASE) or labels[DEFINITION])

    def port(self, service: str, inside: int) -> tuple[str, int]:
        """Return the address and port at which this machine reaches a port of a service."""
        for port in self.document["services"][service].get("ports", []):
            if int(port["target"]) == inside:
                address = port.get("host_ip", "127.0.0.1")
                return ("127.0.0.1" if address in {"", "0.0.0.0", "::"} else address), int(port["published"])  # noqa: S104
        message = f"{service} does not publish its port {inside}"
        raise LookupError(message)

    def summary(self) -> dict[str, Any]:
        """Return everything but the document, for a file."""
        return {
            "release": self.id,
            "tag": self.tag,
            "images": dict(self.images),
            "schema": self.schema,
            "line": self.line,
        }


def deployable(document: dict[str, Any], excluded: Collection[str]) -> dict[str, Any]:
    """Return a rendered compose file without the build sections, the demo, and the *excluded* services."""
    missing = {NOT_DEPLOYED, *excluded}
    services = {name: service for name, service in document["services"].items() if name not in missing}
    for service in services.values():
        service.pop("build", None)
        service.setdefault("restart", "no")
        depends = service.get("depends_on", {})
        service["depends_on"] = {name: how for name, how in depends.items() if name in services}
    return {**document, "services": services}


def create(tag: str, document: dict[str, Any], images: Mapping[str, str], *, schema: str, line: str | None) -> Release:
    """Return a release that is named by its tag and content; this adds the labels of its containers to *document*."""
    name = f"{tag}-{_hash([document, dict(images)])[:8]}"
    release = Release(name, tag, document, images, schema, line)
    services = release.services
    for service, definition in document["services"].items():
        # Neither the labels nor the other services change what this container is.
        own = {key: value for key, value in definition.items() if key not in {"depends_on", "labels"}}
        label = {RELEASE: name} if service in services else {DEFINITION: _hash([own, images[service]])[:12]}
        definition["labels"] = {**definition.get("labels", {}), **label}
    return release


def line_of(image: Mapping[str, Any]) -> str | None:
    """Return the schema line in an image's labels, as `docker image inspect` shows it."""
    return (image["Config"]["Labels"] or {}).get(SCHEMA_LINE) or None


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
