"""Print the coverage of each package, from a file of `coverage json`; exit with 1 if one is below the floor."""

import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

floor = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["coverage"]["report"]["fail_under"]
covered: Counter[str] = Counter()
measured: Counter[str] = Counter()
for path, file in json.loads(Path(sys.argv[1]).read_text())["files"].items():
    _, _, package, *rest = Path(path).parts
    if rest:
        summary = file["summary"]
        covered[package] += summary["covered_lines"] + summary["covered_branches"]
        measured[package] += summary["num_statements"] + summary["num_branches"]
percent = {package: round(100 * covered[package] / total) for package, total in sorted(measured.items()) if total}
for package, found in percent.items():
    print(f"{package:<14} {found}")  # noqa: T201 - that is what it is for
sys.exit(any(found < floor for found in percent.values()))
