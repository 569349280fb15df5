"""docs/install.md speaks of files that exist and of figures that hold."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/install.md").read_text()


def test_every_file_named_is_there():
    named = set(re.findall(r"(?<![/\w])(?:systemd|dashboards)/[\w./-]+\w", PAGE))
    assert {"systemd/agent.toml", "dashboards/prometheus/truechimer.rules.yml"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_shipped_file_is_on_the_page():
    shipped = [path.name for path in (ROOT / "systemd").rglob("*") if path.is_file()]
    assert [name for name in shipped if name not in PAGE] == []


def test_users_and_folders_are_the_units():
    for unit in (ROOT / "systemd").glob("*.service"):
        text = unit.read_text()
        assert f"`{re.search(r'^User=(.+)$', text, re.MULTILINE)[1]}`" in PAGE
        for folder in re.search(r"^StateDirectory=(.+)$", text, re.MULTILINE)[1].split():
            assert f"`/var/lib/{folder}`" in PAGE
