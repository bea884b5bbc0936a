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


def run_entry_point(folder: Path, **environment: str) -> tuple[list[str], dict[str, Any]]:
    """Run the entry point of Prometheus's image; return Prometheus's arguments and its configuration."""
    script = (ROOT / "docker" / "prometheus-entrypoint").read_text()
    for path, replacement in (
        ("/bin/prometheus", "printf '%s\\n'"),
        ("/run/prometheus", str(folder)),
        ("/etc/prometheus", str(PROMETHEUS)),
    ):
        assert path in script
        script = script.replace(path, replacement)
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", script, "sh", "--storage.tsdb.path=x y"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    config, *arguments = done.stdout.splitlines()
    return arguments, read_yaml(Path(config.removeprefix("--config.file=")))


def test_prometheus_sends_the_token_to_the_services_and_to_nothing_else(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("to ken")
    arguments, configuration = run_entry_point(tmp_path, METRICS_TOKEN_FILE=str(token))
    assert arguments == ["--storage.tsdb.path=x y"]
    sent = {job["job_name"]: job.pop("authorization", None) for job in configuration["scrape_configs"]}
    expected = {"credentials_file": str(token)}
    assert sent == {name: expected if name in SERVICES else None for name in sent}
    committed = read_yaml(PROMETHEUS / "prometheus.yml")
    assert configuration == {**committed, "rule_files": [f"{PROMETHEUS}/rules/*.yml"]}


def test_without_a_token_prometheus_reads_the_configuration_of_its_image(tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.touch()
    for environment in ({}, {"METRICS_TOKEN_FILE": str(empty)}, {"METRICS_TOKEN_FILE": str(tmp_path / "missing")}):
        assert run_entry_point(tmp_path, **environment)[1] == read_yaml(PROMETHEUS / "prometheus.yml")
    assert list(tmp_path.iterdir()) == [empty]


@pytest.mark.slow
def test_prometheus_accepts_its_configuration_with_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    run_entry_point(tmp_path, METRICS_TOKEN_FILE=str(tmp_path / "token"))
    promtool("check", "config", tmp_path / "prometheus.yml")


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
