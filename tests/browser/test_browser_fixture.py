"""The page fixture sees what it must fail a test for."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

POLICY = "default-src 'self'; script-src 'self'"
PAGES = {
    "/fine": (200, "text/html", "<!doctype html><link rel=icon href=/icon.svg><title>fine</title><p>fine"),
    "/icon.svg": (200, "image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "/throws": (200, "text/html", "<!doctype html><script src=/throws.js></script>"),
    "/throws.js": (200, "text/javascript", "throw new Error('thrown on purpose')"),
    "/inline": (200, "text/html", "<!doctype html><script>document.title = 'ran'</script>"),
    "/missing-image": (200, "text/html", "<!doctype html><img src=/nowhere.png>"),
    "/foreign": (200, "text/html", "<!doctype html><a href=https://elsewhere.invalid/>leave</a>"),
}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, kind, body = PAGES.get(self.path, (404, "text/plain", "nothing here"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        """Say nothing on standard error."""


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_fine_page_has_no_problems(page: Page, page_problems, site: str) -> None:
    page.goto(f"{site}/fine")
    assert page.title() == "fine"
    assert page.screenshot().startswith(b"\x89PNG")
    assert page_problems.found == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/throws", "uncaught exception: .*thrown on purpose"),
        ("/inline", "(?i)content security policy"),
        ("/missing-image", "404"),
    ],
)
def test_problems_of_a_page_are_found(page: Page, page_problems, site: str, path: str, problem: str) -> None:
    page.goto(f"{site}{path}", wait_until="networkidle")
    page_problems.allow(problem)
    assert len(page_problems.found) > len(page_problems.unexpected())
    assert page.title() != "ran"
    page_problems.allow("favicon|CSP violation|securitypolicy")


def test_other_hosts_are_not_reached_and_asking_them_is_a_problem(
    page: Page, page_problems, site: str
) -> None:
    page_problems.allow("elsewhere.invalid")
    page_problems.allow("favicon|ERR_NAME_NOT_RESOLVED")
    page.goto(f"{site}/foreign")
    with page.expect_event("requestfailed"):
        page.get_by_text("leave").click(no_wait_after=True)
    assert any(text.startswith("request to another host") for text in page_problems.found)
