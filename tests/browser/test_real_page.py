"""The page as the real analyzer serves it, from samples written as agents write them."""

import hashlib
import math
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser.fleets import HOSTILE
from lab.harness.clocks import wall_ns
from lab.harness.processes import Process
from playwright.sync_api import Page, expect

from truechimer.codes import BoundStatus, ProbeOutcome, ServerVerdict
from truechimer.lineprotocol import encode_lines
from truechimer.samples import Sample

pytestmark = pytest.mark.browser


@contextmanager
def running(folder: Path, *server_lines: str) -> Iterator[str]:
    """The address of a real analyzer on an empty embedded store."""
    config = folder / "analyzer.toml"
    lines = (
        "[server]",
        'listen = "127.0.0.1:0"',
        *server_lines,
        "[store]",
        f'address = "embedded:{folder}/store"',
    )
    config.write_text("\n".join(lines))
    command = (sys.executable, "-m", "truechimer_analyzer", "run", "--config", str(config))
    with Process(command, log=folder / "analyzer.log") as process:
        process.wait_ready(lambda: "listening http" in process.log_text(), "the analyzer to say its address")
        found = re.search(r"listening (http://\S+)", process.log_text())
        assert found is not None
        process.wait_ready(lambda: healthy(found[1]), "the analyzer to be healthy")
        yield found[1]


@pytest.fixture
def analyzer(tmp_path: Path) -> Iterator[str]:
    """The address of a real analyzer that is open to this host."""
    with running(tmp_path) as url:
        yield url


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def write(url: str, samples: list[Sample]) -> None:
    """Send samples as an agent does."""
    address = f"{url}/api/v2/write?org=-&bucket=truechimer&precision=ns"
    with urllib.request.urlopen(urllib.request.Request(address, encode_lines(samples)), timeout=20) as answer:
        assert answer.status == 204


def history(node: str, *, wrong_by_s: float = 0.0) -> list[Sample]:
    """Ten minutes of one host, ending now: a bound, its servers, a rate, a step, pauses, round trips."""
    tags = {"cluster": "prod", "node": node}
    now_ns = wall_ns()
    samples = []
    for i in range(60):
        time_ns = now_ns - (60 - i) * 10 * 10**9
        steady = {"steady_seconds": time_ns / 1e9, "epoch": 1}
        middle_s = wrong_by_s + 1e-4 * math.sin(i / 9)
        bound = {
            "lower_seconds": middle_s - 2e-4, "upper_seconds": middle_s + 2e-4, "half_width_seconds": 2e-4,
            "frequency_lower_ppm": 11.5, "frequency_upper_ppm": 12.5, "status": int(BoundStatus.SYNCHRONIZED),
            "reason": 0, "servers_used": 2, "servers_rejected": 1,
        }  # fmt: skip
        samples.append(Sample("truechimer_bound", tags, bound | steady, time_ns))
        rate = {"wall_minus_steady_seconds": 0.0, "wall_rate_ppm": 3 + math.sin(i / 7)}
        samples.append(Sample("truechimer_clock", tags, rate | steady, time_ns))
        for server, off_s, verdict in (
            ("10.0.0.1", 0.0, ServerVerdict.SELECTED),
            ("10.0.0.2", 1e-5, ServerVerdict.SELECTED),
            ("10.0.0.9", 0.037, ServerVerdict.FALSETICKER),
        ):
            exchange = {
                "outcome": 0, "offset_seconds": middle_s + off_s, "delay_seconds": 4e-4,
                "lower_seconds": middle_s + off_s - 2e-4, "upper_seconds": middle_s + off_s + 2e-4,
                "stratum": 1, "leap": 0, "verdict": int(verdict), "reason": 0,
            }  # fmt: skip
            samples.append(Sample("truechimer_ntp", tags | {"server": server}, exchange | steady, time_ns))
        watched = {"observed_seconds": 10.0, "count": i % 2, "total_seconds": 0.01, "max_seconds": 0.01}
        of_host = {"source": "host", "runtime": "host"}
        samples.append(
            Sample("truechimer_pause_window", tags | of_host, watched | {"threshold_seconds": 0.005}, time_ns)
        )
        if i % 2:
            pause = {
                "duration_seconds": 0.006 + i * 0.001,
                "confidence_ratio": 0.9,
                "run_delay_seconds": 0.005,
            }
            cause = of_host | {"cause": "run_queue" if i % 3 else "stopped"}
            samples.append(Sample("truechimer_pause", tags | cause, pause, time_ns))
        for k in range(10):
            probe = {"outcome": int(ProbeOutcome.REPLY), "rtt_seconds": 0.001 * (1 + (i * 7 + k * 3) % 23)}
            samples.append(
                Sample(
                    "truechimer_rtt", tags | {"peer": "10.0.0.7", "via": "tcp"}, probe, time_ns + k * 10**9
                )
            )
    step = {"size_seconds": -0.5, "steady_seconds": (now_ns - 400 * 10**9) / 1e9, "epoch": 1}
    samples.append(Sample("truechimer_clock_event", tags | {"kind": "step"}, step, now_ns - 400 * 10**9))
    return samples


def test_the_page_fills_by_itself_when_the_first_samples_are_committed(
    analyzer: str, page: Page, page_problems
) -> None:
    page_problems.allow("422|/api/v1/skew")  # an empty store refuses timeouts, which browsers log
    page.goto(analyzer)
    expect(page.locator("h1")).to_have_text("No node has reported yet.")
    write(analyzer, history("db-1"))
    expect(page.locator("#fleet tbody tr")).to_have_count(1)
    row = page.locator("#fleet tbody tr")
    expect(row).to_contain_text("stepped")
    expect(row).to_contain_text("falseticker in use")
    expect(page.locator("#offset-chart canvas")).to_be_visible()
    expect(page.locator("#rate-chart canvas")).to_be_visible()
    expect(page.locator("#pauses-chart canvas")).to_be_visible()
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    expect(page.locator('#servers tr[data-verdict="falseticker"]')).to_have_count(1)
    expect(page.locator("#delays-table tbody tr")).to_contain_text("600")
    expect(page.locator("#live")).to_have_attribute("data-live", "live")


def test_a_clock_beyond_its_limit_is_named_with_the_limit(analyzer: str, page: Page, page_problems) -> None:
    page_problems.allow("422|/api/v1/skew")
    write(analyzer, history("db-1") + history("db-2", wrong_by_s=-0.2))
    page.goto(analyzer)
    expect(page.locator("h1")).to_have_text("No. 1 of 2 clocks is certainly wrong by more than 50 ms: db-2.")
    expect(page.locator('#fleet tr[data-node="db-2"]')).to_contain_text("ahead")


def test_hostile_names_in_samples_stay_text(analyzer: str, page: Page, page_problems) -> None:
    page_problems.allow("422|/api/v1/skew")
    write(analyzer, history(HOSTILE))
    page.goto(analyzer)
    expect(page.locator("#fleet tbody th a")).to_have_text(HOSTILE)
    expect(page.locator("#node-title")).to_have_text(f"Node {HOSTILE}")
    expect(page.locator("#offset-chart canvas")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_every_link_to_data_answers(analyzer: str, page: Page, page_problems) -> None:
    page_problems.allow("422|/api/v1/skew")
    write(analyzer, history("db-1"))
    page.goto(analyzer)
    expect(page.locator("#delays-chart canvas")).to_be_visible()
    addresses = {link.get_attribute("href") or "" for link in page.locator(".links a").all()}
    assert len(addresses) >= 6
    for address in addresses - {a for a in addresses if "timeouts" in a}:
        answer = page.request.get(f"{analyzer}/{address}")
        assert answer.ok, address
        if "format=csv" in address:
            assert answer.text().startswith("time,")


def test_a_token_is_asked_for_and_taken(page: Page, page_problems, tmp_path: Path) -> None:
    """With a tokens file the page sends its reader to sign in, and the cookie opens it."""
    page_problems.allow("401|422|/api/v1/skew")
    token = "a-token-of-the-test-0123456789abcdef"
    tokens = tmp_path / "tokens.toml"
    digest = hashlib.sha256(token.encode()).hexdigest()
    tokens.write_text(f'[[token]]\nname = "reader"\nsha256 = "{digest}"\nscopes = ["read"]\n')
    tokens.chmod(0o600)
    with running(tmp_path, f'tokens_file = "{tokens}"') as url:
        page.goto(url)
        page.wait_for_url("**/login")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_have_text("No node has reported yet.")
        page.goto("about:blank")
