"""The markers `lab` and `browser`: skipped with the reason where they cannot run, or failed where they must.

With TRUECHIMER_REQUIRE_LAB=1 in the environment nothing so marked may be skipped, whoever skips it.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Generator

import pytest
from hypothesis import settings
from lab.harness.prerequisites import missing_for_browser, missing_for_lab

# A busy machine is slow now and then: that says nothing about the code.
settings.register_profile("truechimer", deadline=None)
settings.load_profile("truechimer")

REQUIRED = os.environ.get("TRUECHIMER_REQUIRE_LAB", "") not in {"", "0"}
MISSING: dict[str, Callable[[], str | None]] = {"lab": missing_for_lab, "browser": missing_for_browser}
MARKED_FOLDERS = ("tests/lab/", "tests/browser/")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) is not None:
            reason = missing()
            if reason is not None:
                pytest.skip(f"{marker}: {reason}")


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def _fail_if_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip that TRUECHIMER_REQUIRE_LAB forbids (an expected failure is no skip)."""
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped, which TRUECHIMER_REQUIRE_LAB=1 forbids: {_skip_reason(report)}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if any(item.get_closest_marker(marker) for marker in MISSING):
        _fail_if_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.nodeid.startswith(MARKED_FOLDERS):
        _fail_if_required(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        # A folder that skips as a whole reports without keywords.
        keywords = getattr(report, "keywords", ())
        if any(marker in keywords for marker in MISSING) or report.nodeid.startswith(MARKED_FOLDERS):
            skipped[_skip_reason(report)].append(report.nodeid)
    if not skipped:
        return
    terminalreporter.section("lab and browser tests that did not run")
    for reason, tests in sorted(skipped.items()):
        terminalreporter.write_line(f"{reason}  [{len(tests)}]", yellow=True)
        for test in tests:
            terminalreporter.write_line(f"    {test}")
    terminalreporter.write_line("To run them: as root on Debian, .ci/install-lab, then make test.")
