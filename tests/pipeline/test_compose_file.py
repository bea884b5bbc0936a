"""compose.yaml: its variables are those of .env.example, and its label is the schema's line."""

import re
from pathlib import Path

import yaml

from rollout.base_images import VARIABLES
from rollout.release import SCHEMA_LINE

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
SET_BY_COMPOSE = {"COMPOSE_PROJECT_NAME"}


def example() -> dict[str, str]:
    """Return the variables of .env.example with their values."""
    lines = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len({name for name, _ in lines}) == len(lines)
    return dict(lines)


def passed_on() -> set[str]:
    """Return the variables that have no value in compose.yaml, which passes them on."""
    document = yaml.safe_load(COMPOSE)
    services = document["services"].values()
    maps = [part.get(key) or {} for part in services for key in ("environment",)]
    maps += [service["build"]["args"] for service in services if "build" in service]
    return {name for variables in maps for name, value in variables.items() if value is None}


def test_the_example_has_exactly_the_variables_that_compose_reads() -> None:
    named = set(re.findall(r"\$\{(\w+)", COMPOSE)) - SET_BY_COMPOSE
    assert set(example()) == named | passed_on()


def test_the_example_has_the_defaults_of_compose_and_the_dockerfile() -> None:
    values = example()
    defaults = dict(re.findall(r"\$\{(\w+):-([^${}]*)\}", COMPOSE))
    defaults |= dict(VARIABLES.findall((ROOT / "docker" / "Dockerfile").read_text()))
    assert {name: values[name] for name in defaults} == defaults
    given = {name for name, value in values.items() if value}
    assert given - set(defaults) == {"PUBLIC_URL"}, "the only default that depends on another variable"


def test_every_image_has_the_line_of_the_schema_as_a_label() -> None:
    line = (ROOT / "sql" / "LINE").read_text().strip()
    built = [service["build"] for service in yaml.safe_load(COMPOSE)["services"].values() if "build" in service]
    assert {build["labels"][SCHEMA_LINE] for build in built} == {line}
