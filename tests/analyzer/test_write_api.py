"""``/api/v2/write`` of a real analyzer: what is acknowledged, refused and kept."""

import contextlib
import gzip
import http.client
import socket
import threading
import time
import zlib

import psutil
import pytest
from analyzer.analyzer_process import Analyzer, line
from hypothesis import given, settings
from hypothesis import strategies as st

from truechimer_analyzer.server.bodies import unpack
from truechimer_analyzer.server.replies import Refused


def test_acknowledged_is_readable_at_once(running):
    """204 means durable: the next request sees it; the same body again changes nothing."""
    body = (line(1_700_000_001, "w1") + line(1_700_000_002, "w1")).encode()
    assert running.write(body).status == 204
    assert running.times(node="w1") == [1_700_000_001, 1_700_000_002]
    again = running.write(body, gzipped=True)
    assert (again.status, again.body) == (204, b"")
    text = running.get(
        "/api/v1/series", measurement="truechimer_kernel", node="w1", agg="sum", points=1, **{"from": 0}
    ).json
    assert text["series"][0]["fields"]["offset_seconds"] == [1.0]


def test_bad_lines_are_named_and_good_ones_kept(running):
    """400 in InfluxDB's form, with every refused line; sent again, the good ones stay once."""
    body = (line(1_700_000_001, "w2") + "nonsense\n\n" + line(1_700_000_002, "w2", "made_up=1")).encode()
    for _ in range(2):
        answer = running.write(body)
        assert answer.status == 400
        assert answer.json["code"] == "invalid"
        assert answer.json["message"].startswith("partial write: 2 of 3 lines refused: line 2: ")
        assert [(r["line"], r["text"]) for r in answer.json["refused"]] == [
            (2, "nonsense"),
            (4, line(1_700_000_002, "w2", "made_up=1").strip()),
        ]
        assert "made_up" in answer.json["refused"][1]["why"]
        assert running.times(node="w2") == [1_700_000_001]


def test_nothing_but_bad_lines(running):
    """Then nothing was written, in part or otherwise; bytes that are no text are lines like others."""
    answer = running.write(b"\xff\xfe\n\x00\n")
    assert answer.status == 400
    assert answer.json["message"].startswith("2 of 2 lines refused")
    assert len(running.write(b"x\n" * 5000).json["refused"]) == 1000


@pytest.mark.parametrize("body", [b"", b"\n\n", b"# a comment\n"])
def test_nothing_to_write_is_fine(running, body):
    """An empty body is acknowledged."""
    assert running.write(body).status == 204


@pytest.mark.parametrize(("precision", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_precision_scales_stamps(running, precision, factor):
    """ns, us, ms and s; the same digits at another precision are another batch."""
    node = f"p-{precision}"
    body = f"truechimer_kernel,cluster=c,node={node} leap=0i {1_700_000_000 * factor}\n".encode()
    assert running.write(body, query=f"?precision={precision}").status == 204
    assert running.times(node=node) == [1_700_000_000]


def test_requests_that_are_wrong(running):
    """Precision, encoding, gzip, method and path: each its status, in the form writers know."""
    assert running.write(b"", query="?precision=h").status == 400
    assert running.write(b"x", headers={"Content-Encoding": "br"}).status == 415
    for wrong in (b"no gzip", gzip.compress(b"cut short" * 100)[:-9]):
        answer = running.write(wrong, headers={"Content-Encoding": "gzip"})
        assert answer.status == 400
        assert "gzip" in answer.json["message"]
    answer = running.get("/api/v2/write")
    assert (answer.status, answer.json["code"]) == (405, "method not allowed")
    assert running.get("/api/v2/delete").json["code"] == "not found"


def test_bodies_too_large_are_refused(running):
    """By declared length, by what comes, and by what it unpacks to; the analyzer stays well."""
    declared = running.request("POST", "/api/v2/write", None, {"Content-Length": str(10**12)})
    assert declared.status == 413
    bomb = gzip.compress(b"\n" * (65 * 1024 * 1024))
    assert len(bomb) < 100_000
    answer = running.write(bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status == 413
    assert "when unpacked" in answer.json["message"]
    lines = running.write(b"x\n" * 200_001, gzipped=True)
    assert (lines.status, lines.json["code"]) == (413, "request too large")
    assert "lines" in lines.json["message"]
    assert running.get("/healthz").json["status"] == "ok"


def test_bodies_that_are_dear_to_read_cost_little(tmp_path):
    """Small gzips of millions of lines are refused at once, and hold up neither memory nor the end."""
    bomb = gzip.compress(b"x\n" * (8 * 1024 * 1024 - 1))
    dear = gzip.compress(b"x=\n" * 199_000)
    headers = {"Content-Encoding": "gzip"}
    process = Analyzer(tmp_path)
    begun = time.perf_counter()
    assert process.write(bomb, headers=headers).status == 413
    assert time.perf_counter() - begun < 10
    assert process.write(dear, headers=headers).json["refused_total"] == 199_000
    assert psutil.Process(process.process.pid).memory_info().rss < 600 * 2**20
    senders = [threading.Thread(target=_send_in_vain, args=(process, dear)) for _ in range(6)]
    for sender in senders:
        sender.start()
    time.sleep(0.3)
    code, took_s = process.end()
    for sender in senders:
        sender.join()
    assert code == 0
    assert took_s < 8


def _send_in_vain(process, body):
    with contextlib.suppress(OSError, http.client.HTTPException):
        process.write(body, headers={"Content-Encoding": "gzip"})


def test_several_gzip_members_are_one_body(running):
    """As RFC 1952 allows, and as appending writers send."""
    body = gzip.compress(line(1_700_000_001, "w3").encode()) + gzip.compress(
        line(1_700_000_002, "w3").encode()
    )
    assert running.write(body, headers={"Content-Encoding": "gzip"}).status == 204
    assert len(running.times(node="w3")) == 2


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_unpacking_any_bytes_gives_bytes_or_a_refusal(body):
    """No input breaks it, nor unpacks to more than allowed."""
    statuses = set()
    for encoding in ("gzip", "GZIP ", ""):
        for data in (body, gzip.compress(body), gzip.compress(body)[: len(body)]):
            try:
                assert len(unpack(data, encoding, limit=1000)) <= 1000
            except Refused as refused:
                statuses.add(refused.status)
    assert statuses <= {400, 413}


def test_unpacking_stops_at_the_limit():
    """The bomb is not unpacked to learn its size, in one member or in many."""
    bomb = zlib.compress(b"0" * 10**7)
    with pytest.raises(Refused) as caught:
        unpack(gzip.compress(b"0" * 10**7), "gzip", limit=1000)
    assert caught.value.status == 413
    with pytest.raises(Refused) as caught:
        unpack(gzip.compress(b"0" * 600) * 2, "gzip", limit=1000)
    assert caught.value.status == 413
    with pytest.raises(Refused):
        unpack(bomb, "gzip")


def test_eight_writers_at_once(running):
    """Concurrent writers each get their own answer; everything is there once."""
    wrong = []

    def write(name):
        for i in range(20):
            body = "".join(line(1_700_000_000 + i * 10 + k, name) for k in range(10)).encode()
            answer = running.write(body, gzipped=True)
            if answer.status != 204:
                wrong.append(answer)

    threads = [threading.Thread(target=write, args=(f"many-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for n in range(8):
        times = running.times(node=f"many-{n}")
        assert (len(times), len(set(times))) == (200, 200)


def test_kill_in_mid_write_loses_nothing_and_doubles_nothing(tmp_path):
    """kill -9 under load, twice: whoever resends unacknowledged bodies ends with each sample once."""
    unsent = ["".join(line(1_700_000_000 + i * 20 + k, "k") for k in range(20)).encode() for i in range(300)]
    acknowledged = 0
    for lives in (60, 90, None):
        process = Analyzer(tmp_path)
        killer = threading.Thread(target=process.kill)
        sent = 0
        while unsent:
            try:
                if process.write(unsent[0]).status == 204:
                    unsent.pop(0)
                    acknowledged += 1
                    sent += 1
            except OSError:
                break
            if sent == lives:
                killer.start()
        if lives is None:
            times = process.times(node="k")
            process.end()
        else:
            killer.join()
    assert acknowledged == 300
    assert len(times) == len(set(times)) == 6000


def test_a_body_that_never_comes_does_not_hold_the_others(running):
    """Slow senders wait alone; the end of one is noticed."""
    slow = [socket.create_connection((running.host, running.port)) for _ in range(20)]
    for one in slow:
        one.sendall(b"POST /api/v2/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    begun = time.perf_counter()
    assert running.write(line(1_700_000_001, "w4").encode()).status == 204
    assert time.perf_counter() - begun < 10
    for one in slow:
        one.close()
    assert running.get("/healthz").status == 200
