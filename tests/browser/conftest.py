"""A page in a real headless Chromium that fails its test on any error the page causes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from lab.harness.prerequisites import CHROMIUM, missing_for_browser
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Whatever a page asks for, nothing but this machine is looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost , EXCLUDE [::1]",
]
PATIENCE_MS = 20_000
"""A busy machine draws late; what is never drawn fails all the same."""
expect.set_options(timeout=PATIENCE_MS)
OWN_HOSTS = {None, "127.0.0.1", "localhost", "::1"}
# Chromium reports violations on the console too; this also catches those of workers and report-only policies.
WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class PageProblems:
    """What went wrong on the page; `allow` names what a test provokes on purpose."""

    found: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Let problems that `pattern` (a regular expression) finds pass in this test."""
        self.allowed.append(re.compile(pattern))

    def unexpected(self) -> list[str]:
        """The problems that no allowed pattern finds."""
        return [text for text in self.found if not any(pattern.search(text) for pattern in self.allowed)]

    def watch(self, page: Page) -> None:
        """Collect the page's console errors, uncaught exceptions and requests to other hosts from now on."""

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.found.append(f"console error: {message.text} ({message.location.get('url', '')})")

        def on_request(request: Request) -> None:
            if urlsplit(request.url).hostname not in OWN_HOSTS:
                self.found.append(f"request to another host: {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.found.append(f"uncaught exception: {error} {error.stack}"))
        page.on("crash", lambda _: self.found.append("the page crashed"))
        page.on("request", on_request)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium.

    Of module scope: Playwright keeps an event loop running in this thread, which must be gone before tests of
    other modules call asyncio.run.
    """
    reason = missing_for_browser()
    if reason is not None:
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def page_problems() -> PageProblems:
    """The problems of this test's page so far; `page_problems.allow(regex)` for expected ones."""
    return PageProblems()


@pytest.fixture
def page(browser: Browser, page_problems: PageProblems) -> Iterator[Page]:
    """A fresh page (1280 × 900, UTC) of a fresh profile; the test fails if it had unexpected problems."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-GB", reduced_motion="reduce"
    )
    context.add_init_script(WATCH_POLICY)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    page_problems.watch(opened)
    yield opened
    context.close()
    unexpected = page_problems.unexpected()
    assert not unexpected, "\n".join(unexpected)
