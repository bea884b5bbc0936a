"""A release: a version of every image, with the configuration that it was deployed with in one compose file."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

RELEASE: Final = "tocsin.release"
"""Label of a replica of a service: which release started it."""
DEFINITION: Final = "tocsin.definition"
"""Label of everything else: a hash of its definition and image, the same in each release that does not change it."""
BEFORE: Final = frozenset({"edge", "prometheus", "grafana", "alertmanager"})
NOT_DEPLOYED: Final = "demo"
"""A made-up world is for trying."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is needed to start it anywhere at any time, but for the images themselves."""

    id: str
    tag: str
    document: Mapping[str, Any]
    images: Mapping[str, str]
    """The images' ids, by service."""
    schema: str
    """The newest migration."""

    @property
    def project(self) -> str:
        """The compose project."""
        return str(self.document["name"])

    @property
    def services(self) -> frozenset[str]:
        """What takes requests: started beside the old, and drained."""
        return frozenset(name for name, service in self._lasting() if service["image"].endswith(f":{self.tag}"))

    @property
    def before(self) -> frozenset[str]:
        """What stands before and beside the services: replaced only where it changes."""
        return frozenset(name for name, _ in self._lasting() if name in BEFORE)

    @property
    def below(self) -> frozenset[str]:
        """What the services stand on."""
        return frozenset(name for name, _ in self._lasting()) - self.services - self.before

    def _lasting(self) -> list[tuple[str, Any]]:
        return [(name, service) for name, service in self.document["services"].items() if service["restart"] != "no"]

    def image(self, service: str) -> str:
        """Return the name of the image of a service."""
        return str(self.document["services"][service]["image"])

    def label(self, service: str) -> str:
        """Return by which label a container of a service is known to be of this release's definition."""
        labels = self.document["services"][service]["labels"]
        return str(labels.get(RELEASE) or labels[DEFINITION])

    def port(self, service: str, inside: int) -> tuple[str, int]:
        """Return the address and port at which a port of a service is reached from this machine."""
        for port in self.document["services"][service].get("ports", []):
            if int(port["target"]) == inside:
                address = port.get("host_ip", "127.0.0.1")
                return ("127.0.0.1" if address in {"", "0.0.0.0", "::"} else address), int(port["published"])  # noqa: S104
        message = f"{service} does not publish its port {inside}"
        raise LookupError(message)

    def summary(self) -> dict[str, Any]:
        """Return all but the document, for a file."""
        return {"release": self.id, "tag": self.tag, "images": dict(self.images), "schema": self.schema}


def without(document: dict[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    """Return a rendered compose file without what builds images, the demo world, and services that are left out."""
    missing = {NOT_DEPLOYED, *left_out}
    services = {name: service for name, service in document["services"].items() if name not in missing}
    for service in services.values():
        service.pop("build", None)
        service.setdefault("restart", "no")
        depends = service.get("depends_on", {})
        service["depends_on"] = {name: how for name, how in depends.items() if name in services}
    return {**document, "services": services}


def make(tag: str, document: dict[str, Any], images: Mapping[str, str], schema: str) -> Release:
    """Name a release by its tag and what is in it, and label its containers."""
    name = f"{tag}-{_hash([document, dict(images)])[:8]}"
    release = Release(name, tag, document, images, schema)
    takes_requests = release.services
    for service, definition in document["services"].items():
        # What the other services are has no influence on this one.
        own = {key: value for key, value in definition.items() if key not in {"depends_on", "labels"}}
        label = {RELEASE: name} if service in takes_requests else {DEFINITION: _hash([own, images[service]])[:12]}
        definition["labels"] = {**definition.get("labels", {}), **label}
    return release


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
