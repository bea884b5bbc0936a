"""Draw the output of a pipeline run: `python -m tests.support.pipeline.run_picture FILE` after `make pipeline`."""

import io
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from rollout.store import default_folder
from stages.records import Records, head
from stages.report import longest, table

COLOURS: Final = {r"^✓": "bold green", r"^✗": "bold red", r"\brolled back\b": "bold red"}
COMMIT_LETTERS: Final = 12
WIDTH: Final = 118
# The default template of rich loads a font over the network.
FRAME: Final = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace;
line-height: {line_height}px; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def main(path: Path) -> None:
    """Write the picture of the run of HEAD."""
    records = Records(default_folder(), head())
    rows = records.read()
    went = "\n".join(f"  {line}" for line in longest(rows))
    text = Text(f"pipeline of {records.revision[:COMMIT_LETTERS]}\n\n{table(rows)}\n\nlongest checks\n{went}")
    for words, style in COLOURS.items():
        text.highlight_regex(f"(?m){words}", style)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(text, overflow="fold")
    path.write_text(console.export_svg(title="make pipeline", code_format=FRAME, unique_id="run"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
