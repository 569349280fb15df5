"""The influx sink against real sockets: what each kind of answer makes of a batch."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.config.model import SinkConfig
from truechimer.errors import ConfigError
from truechimer.readings import monotonic_s
from truechimer_agent.sinks import KINDS, Retry, Trouble, open_sink, sink_name
from truechimer_agent.sinks.answers import (
    Answer,
    Verdict,
    judge,
    read_refusal,
    refused_lines,
    retry_after_s,
    retry_for,
)

KEYS = st.sampled_from(["refused", "line", "why", "data", "line_number", "error_message", "message", "error"])
LINES = b"m,node=a v=1i 1\nm,node=b v=2i 2\nm,node=c v=3i 3\nm,node=d v=4i 4\n"


class Store:
    """Answers each request by ``answer(body) -> (status, headers, body)`` and keeps what came."""

    def __init__(self) -> None:
        self.answer = lambda _: (204, {}, b"")
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                store.connections += 1

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                store.requests.append((self.path, dict(self.headers), body))
                status, headers, answer = store.answer(body)
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                if "Content-Length" not in headers and status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                if "Content-Length" in headers:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def store():
    store = Store()
    yield store
    store.stop()


@pytest.fixture
def sink(store):
    sink = open_sink(SinkConfig("influx", store.url, timeout_s=5.0))
    yield sink
    sink.close()


def answer(status, document=None, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    kind = {} if isinstance(document, bytes) else {"Content-Type": "application/json"}
    return lambda _: (status, {**kind, **headers}, body)


def test_bytes_arrive_as_they_are_gzipped_in_nanoseconds_over_one_connection(store, sink):
    for _ in range(3):
        assert sink.send(LINES).refused_count == 0
    path, headers, body = store.requests[0]
    assert body == LINES
    assert headers["Content-Encoding"] == "gzip"
    assert path.startswith("/api/v2/write?")
    assert all(part in path for part in ("org=-", "bucket=truechimer", "precision=ns"))
    assert "Authorization" not in headers
    assert store.connections == 1


def test_a_proxy_in_the_environment_does_not_hijack_the_store(store, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    sink = open_sink(SinkConfig("influx", store.url))
    assert sink.send(LINES).refused_count == 0
    sink.close()


def test_the_token_is_read_again_when_its_file_changes(store, tmp_path):
    path = tmp_path / "token"
    sink = open_sink(SinkConfig("influx", store.url, token_file=path))
    with pytest.raises(Retry, match="cannot read token_file") as missing:
        sink.send(LINES)
    assert missing.value.trouble is Trouble.CONFIGURATION
    path.write_text("one two\n")
    with pytest.raises(Retry, match="does not hold one token"):
        sink.send(LINES)
    path.write_text("first\n")
    sink.send(LINES)
    path.write_text("the second\n".replace(" ", "-"))
    sink.send(LINES)
    assert [headers["Authorization"] for _, headers, _ in store.requests] == [
        "Token first",
        "Token the-second",
    ]
    sink.close()


def test_a_partial_write_that_kept_the_others_is_not_sent_again(store, sink):
    store.answer = answer(
        400, {"code": "invalid", "message": "1 refused", "refused": [{"line": 2, "why": "bad"}]}
    )
    sent = sink.send(LINES)
    assert (sent.refused_count, sent.refused[0].number, sent.refused[0].why) == (1, 2, "bad")
    assert sent.refused[0].text == "m,node=b v=2i 2"
    assert len(store.requests) == 1


def test_lines_that_influxdb_quotes_are_taken_out_and_the_others_sent(store, sink):
    def refuse(body: bytes):
        bad = [row for row in body.split(b"\n") if b"node=b" in row or b"node=d" in row]
        if not bad:
            return 204, {}, b""
        message = f"unable to parse '{bad[0].decode()}': it's bad"
        return 400, {}, json.dumps({"code": "invalid", "message": message}).encode()

    store.answer = refuse
    sent = sink.send(LINES)
    assert [line.number for line in sent.refused] == [2, 4]
    assert store.requests[-1][2] == b"m,node=a v=1i 1\nm,node=c v=3i 3\n"


def test_influxdb_3_names_lines_by_number():
    body = json.dumps(
        {
            "error": "partial write of line protocol occurred",
            "data": [{"original_line": "m,node=c", "line_number": 3, "error_message": "type"}],
        }
    ).encode()
    refusal = read_refusal(body)
    assert refusal.kept_others
    assert [line.number for line in refused_lines(LINES, refusal)] == [3]


def test_lines_that_were_only_counted_are_not_sent_again(store, sink):
    store.answer = answer(
        422,
        {
            "code": "unprocessable entity",
            "message": "partial write: points beyond retention policy dropped=3",
        },
    )
    assert sink.send(LINES).refused_count == 3
    assert len(store.requests) == 1
    refused = {"code": "invalid", "message": "2", "refused_total": 2, "refused": [{"line": 1, "why": "bad"}]}
    store.answer = answer(400, refused)
    assert sink.send(LINES).refused_count == 2


@pytest.mark.parametrize(
    "words", [b"remoteAddr: too long line", json.dumps({"code": "invalid", "message": "no"}).encode()]
)
def test_a_poison_line_that_is_not_named_is_found_by_halves_and_does_not_block(store, sink, words):
    """Its sibling was accepted: this is a store, and it does not want this line."""
    store.answer = lambda body: (400, {}, words) if b"node=c" in body else (204, {}, b"")
    sent = sink.send(LINES)
    assert [line.number for line in sent.refused] == [3]
    assert sent.refused_count == 1
    assert {body for _, _, body in store.requests} >= {LINES[:32], b"m,node=d v=4i 4\n"}


def test_a_batch_refused_whole_is_given_up_only_by_a_store_known_to_be_one(store, sink):
    """Before it took anything, the answer may be anybody's; plain words prove nothing even then."""
    refuse = answer(400, {"code": "invalid", "message": "no"})
    store.answer = refuse
    with pytest.raises(Retry, match="HTTP 400: no"):
        sink.send(LINES)
    store.answer = answer(204, b"")
    sink.send(LINES)
    store.answer = refuse
    assert sink.send(LINES).refused_count == 4
    store.answer = answer(400, b"upstream protocol error")
    with pytest.raises(Retry, match="upstream protocol error"):
        sink.send(LINES)


@pytest.mark.parametrize(
    "words",
    [
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Invalid HTTP request received.",
        b"upstream protocol error",
        b'{"detail": "There was an error parsing the body"}',
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_words_that_judge_no_line_keep_the_batch(store, sink, status, words):
    """What a TLS port, an application server or a proxy says is a matter of configuration."""
    store.answer = answer(status, words)
    many = b"".join(b"m,node=a v=1i %d\n" % n for n in range(500))
    with pytest.raises(Retry) as failure:
        sink.send(many)
    assert failure.value.trouble is Trouble.CONFIGURATION
    assert "not a store" in failure.value.hint
    assert len(store.requests) < 30


@pytest.mark.parametrize("status", [200, 201, 202, 203, 205, 206, 302, 304, 307])
def test_only_204_is_stored_and_a_captive_portal_is_no_store(store, sink, status):
    store.answer = answer(status, b"<html>please log in</html>" if status not in (205, 304) else b"")
    with pytest.raises(Retry, match=f"HTTP {status}") as failure:
        sink.send(LINES)
    assert failure.value.trouble is Trouble.CONFIGURATION
    assert "not a store" in failure.value.hint


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_a_wrong_configuration_keeps_the_batch_and_says_what_to_do(store, sink, status):
    store.answer = answer(status, {"message": "unauthorized access"}, Location="http://127.0.0.1:9/")
    with pytest.raises(Retry, match=f"HTTP {status}: unauthorized access") as failure:
        sink.send(LINES)
    assert failure.value.trouble is Trouble.CONFIGURATION
    assert failure.value.hint
    assert len(store.requests) == 1


def test_a_web_page_is_no_judgement_on_the_lines(store, sink):
    store.answer = answer(400, b"<html>Bad Request</html>")
    with pytest.raises(Retry, match="HTTP 400"):
        sink.send(LINES)
    store.answer = answer(400, b"")
    with pytest.raises(Retry, match="HTTP 400"):
        sink.send(LINES)


def test_a_batch_too_large_goes_in_halves_down_to_single_lines(store, sink):
    store.answer = lambda body: (413, {}, b"too large") if body.count(b"\n") > 1 else (204, {}, b"")
    assert sink.send(LINES).refused_count == 0
    taken = [body for _, _, body in store.requests if body.count(b"\n") == 1]
    assert b"".join(taken) == LINES
    store.answer = answer(413, b"too large")
    assert sink.send(LINES).refused_count == 4


def test_a_limit_on_sizes_before_anything_was_taken_keeps_the_batch(store, sink):
    store.answer = answer(413, b"too large")
    with pytest.raises(Retry, match="HTTP 413"):
        sink.send(LINES)


def test_too_many_requests_is_busy_for_as_long_as_it_says(store, sink):
    store.answer = answer(429, {"message": "slow down"}, **{"Retry-After": "7"})
    with pytest.raises(Retry) as failure:
        sink.send(LINES)
    assert (failure.value.trouble, failure.value.after_s) == (Trouble.BUSY, 7.0)
    assert retry_after_s("Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert retry_after_s("-3") is None
    assert retry_after_s("999999999") == 3600.0


@pytest.mark.parametrize(
    "reply",
    [
        answer(500, {"message": "oh"}),
        answer(502, b"\xff\xfe\x00"),
        answer(204, b"", **{"Content-Length": "0"}),
        answer(500, b"half", **{"Content-Length": "400"}),
        answer(400, b'{"code":', **{"Content-Length": "4000"}),
    ],
)
def test_server_failures_and_half_answers_are_tried_again_and_success_is_success(store, sink, reply):
    store.answer = reply
    if reply(b"")[0] == 204:
        assert sink.send(LINES).refused_count == 0
        return
    with pytest.raises(Retry):
        sink.send(LINES)


def test_garbage_instead_of_http_and_hanging_up_are_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        replies = [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"", b"HTTP/1.1 2"]

        def serve():
            for reply in replies * 2:
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        sink = open_sink(SinkConfig("influx", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=5.0))
        for _ in range(2):
            with pytest.raises(Retry):
                sink.send(LINES)
        sink.close()


def test_refused_silent_and_unresolved_stores_are_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sink = open_sink(SinkConfig("influx", url, timeout_s=0.2))
        with pytest.raises(Retry, match="no answer in time"):
            sink.send(LINES)
        sink.close()
    sink = open_sink(SinkConfig("influx", url))
    with pytest.raises(Retry, match="refused"):
        sink.send(LINES)
    sink.close()
    sink = open_sink(SinkConfig("influx", "http://store.invalid:8086", timeout_s=5.0))
    with pytest.raises(Retry) as failure:
        sink.send(LINES)
    assert failure.value.trouble is Trouble.UNREACHABLE
    sink.close()


def test_a_store_that_closes_kept_connections_costs_no_failure(store, sink):
    sink.send(LINES)
    store.answer = answer(204, b"", **{"Content-Length": "0"})
    for _ in range(3):
        sink.send(LINES)


class Raw:
    """Answers every connection by ``reply(connection)`` once a request has come."""

    def __init__(self, reply) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._reply = reply
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            self._reply(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _drip_header(connection):
    connection.sendall(b"HTTP/1.1 204 No Content\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.05)


def _drip_line(connection):
    connection.sendall(b"HTTP/1.1 204 No Content\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def _drip_body(connection):
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def _continue_for_ever(connection):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("reply", [_drip_header, _drip_line, _drip_body, _continue_for_ever])
def test_an_answer_that_drips_ends_with_the_exchanges_time(reply):
    """The time-out is of the whole answer, not of each byte."""
    raw = Raw(reply)
    sink = open_sink(SinkConfig("influx", raw.url, timeout_s=0.5))
    began_s = monotonic_s()
    with pytest.raises(Retry, match="no answer in time"):
        sink.send(LINES)
    assert monotonic_s() - began_s < 10
    sink.close()
    raw.close()


@pytest.mark.parametrize("head", [b"500 Oh", b"200 OK", b"400 Bad Request"])
def test_an_endless_answer_is_read_only_so_far(head):
    """Its beginning says enough; the connection is not read on, nor used again."""
    sent = []

    def pour(connection):
        chunk = b"x" * 65536
        connection.sendall(b"HTTP/1.1 " + head + b"\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(1000):
            connection.sendall(chunk)
            sent.append(len(chunk))

    raw = Raw(pour)
    sink = open_sink(SinkConfig("influx", raw.url, timeout_s=10.0))
    with pytest.raises(Retry, match="HTTP"):
        sink.send(LINES[:16])
    assert sum(sent) < 60 << 20
    sink.close()
    raw.close()


def test_a_store_that_does_not_read_ends_with_the_exchanges_time():
    """A large batch into a full window."""
    raw = Raw(lambda _: time.sleep(5))
    sink = open_sink(SinkConfig("influx", raw.url, timeout_s=0.5))
    with pytest.raises(Retry, match="no answer in time"):
        sink.send(b"m,node=" + random.Random(1).randbytes(4 << 20).hex().encode() + b" v=1 1\n")
    sink.close()
    raw.close()


def test_plain_http_behind_https_is_a_matter_of_configuration(store, tmp_path):
    sink = open_sink(SinkConfig("influx", store.url.replace("http:", "https:"), timeout_s=5.0))
    with pytest.raises(Retry) as failure:
        sink.send(LINES)
    assert failure.value.trouble is Trouble.CONFIGURATION
    sink.close()


def test_wrong_configurations_are_refused_at_once(tmp_path):
    with pytest.raises(ConfigError, match="not http"):
        open_sink(SinkConfig("influx", "ftp://store"))
    with pytest.raises(ConfigError, match="ca_file"):
        open_sink(SinkConfig("influx", "https://store", ca_file=tmp_path / "none.pem"))
    for kind in KINDS.keys() - {"influx"}:
        with pytest.raises(ConfigError, match="not built yet"):
            open_sink(SinkConfig(kind, "http://store"))


def test_a_sinks_name_is_its_address_without_secrets():
    assert sink_name(SinkConfig("influx", "http://u:p@h:8086/")) == "influx http://h:8086 -/truechimer"


@given(st.binary(max_size=400), st.binary(max_size=200))
def test_any_answer_is_read_without_an_error_of_ours(body, lines):
    refusal = read_refusal(body)
    assert all(1 <= line.number <= lines.count(b"\n") + 1 for line in refused_lines(lines, refusal))
    assert isinstance(retry_for(Answer(418, {}, body)), Retry)
    assert judge(Answer(400, {"Content-Type": "text/plain"}, body)) in Verdict


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(KEYS, x)))
def test_any_json_answer_is_read_without_an_error_of_ours(document):
    refused_lines(LINES, read_refusal(json.dumps(document).encode()))
