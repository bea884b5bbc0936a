"""The networks of compose.yaml: who reaches whom."""

from pathlib import Path

import pytest
import yaml

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())
NETWORKS = {name: set(service["networks"]) for name, service in COMPOSE["services"].items()}
SERVICES = {"alert-ingestion", "incident-management", "oncall-service", "notification-service", "web-ui"}


def reached_from(name: str) -> set[str]:
    return {other for other, networks in NETWORKS.items() if other != name and networks & NETWORKS[name]}


def test_every_network_is_declared_and_used() -> None:
    assert set.union(*NETWORKS.values()) == set(COMPOSE["networks"])


def test_only_what_needs_the_database_reaches_it() -> None:
    assert reached_from("database") == SERVICES | {"migrate", "demo", "edge"}, "the edge until ADR 34 is complete"


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        *(("edge", service) for service in sorted(SERVICES)),
        *(("prometheus", name) for name in (*sorted(SERVICES), "edge", "grafana", "alertmanager")),
        *((service, name) for service in sorted(SERVICES) for name in ("edge", "jaeger")),
        ("demo", "edge"),
        ("alertmanager", "edge"),
        ("grafana", "prometheus"),
        ("grafana", "loki"),
        ("log-shipper", "loki"),
        ("notification-service", "mailpit"),
        ("secrets", "mailpit"),
    ],
)
def test_who_calls_another_container_shares_a_network_with_it(caller: str, called: str) -> None:
    assert called in reached_from(caller)


def test_the_database_is_reached_in_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert {name for name, networks in NETWORKS.items() if "database" in networks} == {
        *SERVICES,
        *("database", "migrate", "demo"),
    }


def test_the_edge_finds_each_replica_in_one_network() -> None:
    """In two, Docker's name server returns the addresses of only one: during a deploy, those of one release."""
    for service in SERVICES:
        assert NETWORKS["edge"] & NETWORKS[service] == {"tocsin"}


def test_replicas_of_the_release_before_reach_what_they_reached() -> None:
    assert COMPOSE["networks"]["tocsin"] is None, "compose would have to remove the network to change it"
    for name in (*sorted(SERVICES), "edge", "database", "migrate", "demo"):
        assert "tocsin" in NETWORKS[name]
