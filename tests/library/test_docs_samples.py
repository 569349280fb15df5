"""docs/samples.md says what samples.py declares."""

from pathlib import Path

from dashboards.samples_table import samples_markdown

from truechimer.codes import EventKind
from truechimer.samples import MEASUREMENTS

PAGE = Path(__file__).parents[2] / "docs/samples.md"


def test_the_committed_page_is_what_the_declarations_give():
    assert PAGE.read_text() == samples_markdown(), "run python -m dashboards.build"


def test_every_field_and_code_is_on_the_page():
    page = PAGE.read_text()
    for measurement in MEASUREMENTS.values():
        section = page.split(f"\n## {measurement.name}\n")[1].split("\n## ")[0]
        for field in measurement.fields:
            row = next(
                line for line in section.splitlines() if line.startswith(f"| `{field.name}` | {field.kind}")
            )
            for code in field.codes or ():
                assert f"{code.value} {code.name.lower()}" in row
    assert all(f"`{kind}`" in page for kind in EventKind)
