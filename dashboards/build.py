"""``python -m dashboards.build [--check]``: write what is generated, or say what is not current.

Writes the Grafana dashboard, the alert rules and docs/samples.md; with ``--check`` writes nothing and exits
1, naming each file that differs from what the code builds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.grafana import dashboard_json
from dashboards.metrics import refuse_unknown
from dashboards.rules import all_alerts, rules_yaml
from dashboards.samples_table import samples_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]


def generated() -> Mapping[Path, str]:
    """Every generated file's path and text."""
    for alert in all_alerts():
        refuse_unknown(alert.expression)
    return {
        ROOT / "dashboards/grafana/truechimer-host.json": dashboard_json(),
        ROOT / "dashboards/prometheus/truechimer.rules.yml": rules_yaml(),
        ROOT / "docs/samples.md": samples_markdown(),
    }


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, or 1 when ``--check`` found a file that is not current."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a file is not current"
    )
    check = parser.parse_args(arguments).check
    stale = 0
    for path, text in generated().items():
        if path.exists() and path.read_text() == text:
            continue
        name = path.relative_to(ROOT)
        if check:
            stale += 1
            print(f"{name} is not what the code builds: run python -m dashboards.build", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
