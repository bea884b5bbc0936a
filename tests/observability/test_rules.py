"""Prometheus accepts its configuration; each alert fires exactly when it should, and has a runbook."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.observability.files import PROMETHEUS, ROOT, RULES, SERVICES, alerts, program, read_yaml
from tocsin.contracts.model import Severity
from tocsin.integrations.classification import SEVERITY_OF_WORD, service_of

TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
RUNBOOKS = ROOT / "docs" / "operations.md"


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_prometheus_accepts_its_configuration_and_finds_the_rules_beside_it() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", *RULES)
    (pattern,) = read_yaml(PROMETHEUS / "prometheus.yml")["rule_files"]
    assert sorted(PROMETHEUS.glob(pattern)) == RULES


@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_exactly_when_it_should(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_tested_firing_and_not_firing() -> None:
    tested: dict[str, set[bool]] = {name: set() for name in alerts()}
    for path in TESTS:
        for test in read_yaml(path)["tests"]:
            for case in test["alert_rule_test"]:
                tested[case["alertname"]].add(bool(case["exp_alerts"]))
    assert {name: ways for name, ways in tested.items() if ways != {True, False}} == {}


def test_every_replica_is_scraped_directly_under_the_name_of_its_service() -> None:
    jobs = {job["job_name"]: job for job in read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
    assert set(SERVICES) | {"edge", "prometheus", "grafana"} == set(jobs)
    compose = read_yaml(ROOT / "compose.yaml")["services"]
    for name in SERVICES:
        ((found,),) = [jobs[name]["dns_sd_configs"]]
        assert found["names"] == [name]
        assert found["type"] == "A"
        assert name in compose


def headings() -> list[str]:
    """Return the anchors that a Markdown page's headings get."""
    titles = re.findall(r"^#+ (.+)$", RUNBOOKS.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("name", alerts())
def test_every_alert_has_a_runbook_and_becomes_an_incident_of_the_affected_service(name: str) -> None:
    rule: dict[str, Any] = alerts()[name]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == f"{{{{ $externalLabels.tocsin_url }}}}/handbook/{RUNBOOKS.name}"
    assert headings().count(anchor) == 1
    section = RUNBOOKS.read_text().partition(f"\n### {name}\n")[2].partition("\n#")[0]
    assert [line.split("**")[1] for line in section.splitlines() if line] == ["Means", "Look", "Do"]
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in set(Severity)
    assert SEVERITY_OF_WORD[rule["labels"]["severity"]] == rule["labels"]["severity"]
    assert service_of({**rule["labels"], "job": "x"}) == (rule["labels"]["service"], None)


def test_there_is_no_runbook_without_an_alert() -> None:
    section = RUNBOOKS.read_text().partition("\n## Runbooks\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^### (.+)$", section, re.MULTILINE)) == set(alerts())
