"""Fetching from a real server that is wrong in every way: it ends in time and says what to do."""

import time

import pytest
from agent.metricspages import program

from truechimer.config.model import ScrapeConfig
from truechimer_agent.collecting import CollectFailure
from truechimer_agent.scraping import fetching
from truechimer_agent.scraping.fetching import Fetcher

PAGE = b"go_gc_duration_seconds_count 1\n"


def fetcher(made, **more):
    return Fetcher(ScrapeConfig("p", made.url, timeout_s=more.pop("timeout_s", 5.0), **more))


def failure(one):
    with pytest.raises(CollectFailure) as caught:
        one.fetch()
    return caught.value


def test_a_page_and_its_format():
    """The text format unless the answer says OpenMetrics; over one connection, without compression."""
    with program() as made:
        made.body = PAGE
        one = fetcher(made)
        assert one.fetch() == fetching.Fetched(PAGE, openmetrics=False)
        made.headers = {"Content-Type": "application/openmetrics-text; version=1.0.0"}
        assert one.fetch().openmetrics
        assert all("gzip" not in asked.get("Accept-Encoding", "") for asked in made.asked)


def test_a_token_is_read_anew_and_never_follows_a_redirect(tmp_path):
    """A replaced token is used from the next scrape on; a redirect is refused, and its target not asked."""
    token = tmp_path / "token"
    token.write_text("first\n")
    with program() as made, program() as other:
        made.body = PAGE
        one = fetcher(made, token_file=token)
        one.fetch()
        token.write_text("second-one\n")
        one.fetch()
        assert [asked["Authorization"] for asked in made.asked] == ["Bearer first", "Bearer second-one"]
        made.status, made.headers = 302, {"Location": other.url}
        error = failure(one)
        assert "redirects are not followed" in str(error)
        assert other.asked == []
        token.write_text("")
        assert "does not hold one token" in str(failure(one))
        token.unlink()
        assert "cannot be read" in str(failure(one))


@pytest.mark.parametrize(("status", "advice"), [(401, "token_file"), (404, "path of url"), (500, "log")])
def test_a_refusal_says_what_to_do(status, advice):
    """With the page's address, and alike each time."""
    with program() as made:
        made.status = status
        one = fetcher(made)
        first, second = failure(one), failure(one)
    assert str(first) == str(second)
    assert made.url in str(first)
    assert advice in first.hint


def test_nobody_there():
    """The address, the refusal, and that the program may not run; the same words each time."""
    with program() as made:
        one = fetcher(made)
    words = {str(failure(one)) for _ in range(2)}
    assert len(words) == 1
    assert words.pop().endswith("was not scraped: [errno 111] connection refused")


def drips(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(400):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def says_nothing(_handler):
    time.sleep(20)


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        handler.wfile.write(b"x" * 65536)


@pytest.mark.parametrize("act", [drips, says_nothing])
def test_a_slow_server_ends_with_the_time_out(act):
    """However many bytes it drips: the time is that of the whole exchange."""
    with program() as made:
        made.act = act
        began_s = time.perf_counter()
        error = failure(fetcher(made, timeout_s=0.3))
        assert time.perf_counter() - began_s < 8
    assert "no answer in time" in str(error)


def test_an_endless_page_is_read_no_further_than_its_limit():
    """Four MiB and no more."""
    with program() as made:
        made.act = endless
        error = failure(fetcher(made))
    assert "longer than 4 MiB" in str(error)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"garbage\r\n\r\n",
        OK + b"Content-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 2000 \xff\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
        OK + b"a: b\r\n" * 500 + b"\r\n",
    ],
    ids=["nothing", "garbage", "cut off", "no status", "no chunk", "headers without end"],
)
def test_answers_that_are_none(words):
    """Each is a failure with the address."""
    with program() as made:
        made.act = lambda handler: handler.wfile.write(words)
        error = failure(fetcher(made, timeout_s=2.0))
    assert made.url in str(error)
    assert error.hint


def test_compression_that_was_not_asked_for_is_refused():
    """A small page can be a very long one inside."""
    with program() as made:
        made.body, made.headers = b"\x1f\x8b", {"Content-Encoding": "gzip"}
        assert "compresses unasked" in str(failure(fetcher(made)))
