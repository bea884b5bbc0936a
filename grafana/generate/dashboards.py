"""All dashboards, rendered to the JSON files that Grafana reads."""

import json
from pathlib import Path
from typing import Final

from grafana.generate import live, sre, system

FOLDER: Final = Path(__file__).parents[1] / "dashboards"


def render() -> dict[str, str]:
    """Return the text of each file by its name."""
    made = {
        "live-incident-overview.json": live.dashboard(),
        "sre-performance.json": sre.dashboard(),
        "system-health.json": system.dashboard(),
    }
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}
