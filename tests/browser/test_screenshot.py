"""`truechimer up` on this host, measured for real, looked at in a browser.

With TRUECHIMER_UPDATE_SCREENSHOT=1 it measures for longer and writes docs/page.png, the README's picture.
"""

import json
import os
import re
import shutil
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab.harness.clocks import wait_until
from lab.harness.prerequisites import executable
from lab.harness.processes import Process
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "page.png"
UPDATE = os.environ.get("TRUECHIMER_UPDATE_SCREENSHOT", "") not in {"", "0"}
MEASURE_S = 240 if UPDATE else 12
LISTENERS = ("database", "cache", "queue")


def free_port(kind: socket.SocketKind) -> int:
    """A port of loopback that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def chronyd(folder: Path, name: str) -> tuple[Process, int]:
    """A real NTP server on loopback that leaves the system's clock alone, and its port."""
    folder = folder / name
    folder.mkdir(mode=0o750, parents=True)
    port = free_port(socket.SOCK_DGRAM)
    configuration = folder / "chrony.conf"
    lines = (
        "local stratum 1", "allow 127.0.0.1", f"port {port}", "bindaddress 127.0.0.1", "cmdport 0",
        "bindcmdaddress /", f"pidfile {folder}/pid",
    )  # fmt: skip
    configuration.write_text("\n".join((*lines, "")))
    words = (executable("chronyd") or "chronyd", "-x", "-d", "-u", "root", "-f", str(configuration))
    return Process(words, log=folder / "log"), port


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[str]:
    """An agent.toml that names real NTP servers (where chronyd and root are there) and TCP listeners."""
    with ExitStack() as stack:
        servers = []
        if executable("chronyd") and os.geteuid() == 0:
            for name in ("ntp-1", "ntp-2", "ntp-3", "ntp-4"):
                process, port = chronyd(tmp_path / "ntp", name)
                stack.enter_context(process)
                servers.append(f"127.0.0.1:{port}")
        probes = []
        for name in LISTENERS:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
            port = listener.getsockname()[1]
            probes.append(
                f'[[probe]]\nkind = "tcp"\nname = "{name}"\ntarget = "127.0.0.1:{port}"\ninterval_s = 0.1\n'
            )
        yield "\n".join(
            [
                'cluster = "demo"',
                'node = "this-host"',
                "[ntp]",
                f"servers = {json.dumps(servers)}",
                "interval_s = 2" if servers else "",
                *probes,
            ]
        )


def document(url: str, command: str) -> dict[str, list[dict[str, object]]]:
    """An answer of the analyzer."""
    with urllib.request.urlopen(f"{url}/api/v1/{command}?since=15m", timeout=20) as answer:
        found: dict[str, list[dict[str, object]]] = json.load(answer)
    return found


def measured(url: str, *, bounded: bool) -> bool:
    """Whether a node with its bound, and every listener, is in the store."""
    nodes = document(url, "clocks")["nodes"]
    paths = document(url, "rtt")["paths"]
    return bool(nodes) and len(paths) >= len(LISTENERS) and (not bounded or nodes[0]["lower_s"] is not None)


def test_up_shows_this_host_for_real(page: Page, page_problems, surroundings: str, tmp_path: Path) -> None:
    """From nothing to a page whose every section is filled with this host's own samples."""
    page_problems.allow("422|/api/v1/skew")  # timeouts of the first seconds are refused, which browsers log
    config = tmp_path / "agent.toml"
    config.write_text(surroundings)
    bounded = "servers = []" not in surroundings
    command = (
        sys.executable, "-m", "truechimer_cli", "up", "--data-dir", str(tmp_path / "data"),
        "--listen", "127.0.0.1:0", "--config", str(config),
    )  # fmt: skip
    with Process(command, log=tmp_path / "up.log") as up:
        up.wait_ready(lambda: "page and answers at" in up.log_text(), "`truechimer up` to say its address")
        found = re.search(r"page and answers at (http://\S+)", up.log_text())
        assert found is not None
        url = found[1]
        page.set_viewport_size({"width": 1360, "height": 900})
        page.goto(f"{url}/#since=15m")
        wait_until(lambda: measured(url, bounded=bounded), "this host's samples", timeout_s=90, every_s=0.5)
        # The page was open before there was anything: it must fill by itself.
        expect(page.locator('#fleet tr[data-node="this-host"]')).to_be_visible()
        expect(page.locator("#live")).to_have_attribute("data-live", "live")
        page.wait_for_timeout(MEASURE_S * 1000)
        expect(page.locator("#rate-chart canvas")).to_be_visible(timeout=60_000)
        expect(page.locator("#delays-table tbody tr")).to_have_count(len(LISTENERS))
        expect(page.locator("#pauses-table tbody tr").first).to_be_visible()
        expect(page.locator("#timeouts tbody tr").first).to_be_visible()
        expect(page.locator("#node .trouble")).to_be_hidden()
        if bounded:
            expect(page.locator("h1")).to_contain_text("Yes. This clock is proven within")
            expect(page.locator("#offset-chart canvas")).to_be_visible()
            expect(page.locator('#servers tr[data-verdict="selected"]')).to_have_count(4)
        picture = tmp_path / "page.png"
        page.screenshot(path=picture, full_page=True)
        page.goto("about:blank")
        assert up.exit_code is None
        assert up.stop() == 0
    assert picture.stat().st_size > 50_000
    if UPDATE:
        shutil.copyfile(picture, PICTURE)
