"""Answers, series, events, health, metrics and the page, from a real analyzer."""

import json
import socket
import time

import numpy as np
import pytest
from analyzer.analyzer_process import line
from analyzer.meshfleet import NOW_S, Fleet, Host
from analyzer.synthetic import ArrayStore

from truechimer.config.model import LimitsConfig
from truechimer.errors import NotEnough
from truechimer_analyzer.server.guard import names_this_host
from truechimer_analyzer.server.metrics import Metrics
from truechimer_analyzer.server.replies import plain
from truechimer_analyzer.server.series import default_aggregate

T0 = 1_700_000_000


def bound(time_s, node, lower, upper):
    return line(time_s, node, f"lower_seconds={lower},upper_seconds={upper},status=1i", "truechimer_bound")


@pytest.mark.parametrize("command", ["clocks", "rtt", "pauses", "stability", "report"])
def test_commands_are_answered(running, command):
    """Each is a JSON object, also where there is nothing to say."""
    answer = running.get(f"/api/v1/{command}", since="1h")
    assert answer.status == 200
    assert isinstance(answer.json, dict)
    assert answer.headers["cache-control"] == "no-store"


def test_wrong_questions_say_what_would_be_right(running):
    """Unknown command 404, unknown option 400, too little evidence 422: with error and hint."""
    for path, status in (
        ("/api/v1/cloks", 404),
        ("/api/v1/clocks?sinse=1h", 400),
        ("/api/v1/clocks?node=nobody", 400),
        ("/api/v1/timeouts", 422),
        ("/api/v1/skew", 422),
        ("/api/v1/series", 400),
        ("/api/v1/series?measurement=truechimer_bound&fields=x", 400),
        ("/api/v1/series?measurement=truechimer_bound&points=0", 400),
        ("/api/v1/series?measurement=truechimer_bound&tag.server=x", 400),
        ("/api/v1/series?measurement=truechimer_bound&format=xml", 400),
        ("/api/nothing", 404),
    ):
        answer = running.get(path)
        assert answer.status == status, (path, answer.body)
        assert answer.json["error"], path
        assert "hint" in answer.json


def test_series_is_thinned_but_keeps_extremes(running):
    """No more points than asked for, lower by its least, upper by its greatest."""
    body = "".join(bound(T0 + i, "thin", -i, i) for i in range(1000))
    assert running.write(body.encode()).status == 204
    options = {"measurement": "truechimer_bound", "node": "thin", "from": T0, "to": T0 + 1000}
    all_of_it = running.get("/api/v1/series", **options, fields="lower_seconds").json["series"]
    assert len(all_of_it[0]["time_s"]) == 1000
    thin = running.get("/api/v1/series", **options, fields="lower_seconds,upper_seconds", points=10).json
    (one,) = thin["series"]
    assert one["tags"] == {"cluster": "c", "node": "thin"}
    assert 10 <= len(one["time_s"]) <= 11
    assert one["fields"]["lower_seconds"][-1] == -999
    assert one["fields"]["upper_seconds"] == [-x for x in one["fields"]["lower_seconds"]]
    assert thin["aggregates"] == {"lower_seconds": "min", "upper_seconds": "max"}
    mean = running.get("/api/v1/series", **options, fields="upper_seconds", points=1, agg="avg").json
    assert mean["series"][0]["fields"]["upper_seconds"][0] == pytest.approx(499.5, abs=0.5)


def test_series_by_tag_with_holes_and_as_csv(running):
    """A tag narrows; a field that a point lacks is null, and empty in CSV; foreign text runs no formula."""
    body = line(T0, "=tag", "size_seconds=0.5", "truechimer_clock_event", ",kind=step")
    body += line(T0, "=tag", "epoch=3i", "truechimer_clock_event", ",kind=suspend")
    body = body.replace("node==tag", "node=\\=tag")
    assert running.write(body.encode()).status == 204
    options = {
        "measurement": "truechimer_clock_event",
        "node": "=tag",
        "from": T0 - 1,
        "fields": "size_seconds",
    }
    both = running.get("/api/v1/series", **options).json["series"]
    assert {one["tags"]["kind"]: one["fields"]["size_seconds"] for one in both} == {
        "step": [0.5],
        "suspend": [None],
    }
    step = running.get("/api/v1/series", **options, **{"tag.kind": "step"}).json["series"]
    assert [one["tags"]["kind"] for one in step] == ["step"]
    table = running.get("/api/v1/series", **options, format="csv")
    assert table.headers["content-type"].startswith("text/csv")
    rows = table.body.decode().splitlines()
    assert rows[0] == "time,time_ns,cluster,zone,node,kind,size_seconds"
    assert rows[1] == f"2023-11-14T22:13:20.000000Z,{T0}000000000,c,,'=tag,step,0.5"
    assert rows[2].endswith(",suspend,")


def test_events_tell_of_commits_at_most_once_a_second(running):
    """Ten quick writes are one or two events, whose samples add up; nodes are named."""
    with socket.create_connection((running.host, running.port), timeout=20) as stream:
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader = stream.makefile("rb")
        while not reader.readline().startswith(b"retry"):
            pass
        for i in range(10):
            running.write(line(T0 + i, "live").encode())
        told, samples = 0, 0
        while samples < 10:
            text = reader.readline()
            if text.startswith(b"data: "):
                event = json.loads(text[6:])
                told += 1
                samples += event["samples"]
                assert event["nodes"] == [{"cluster": "c", "node": "live"}]
                assert event["received_ns"] > 10**18
        assert told < 10


def test_metrics_count(running):
    """Prometheus text with what was stored, known and refused."""
    body = line(T0, "counted").encode()
    before = _metrics(running)
    for each in (body, body, body + b"bad\n"):
        running.write(each)
    after = _metrics(running)
    grown = {name: after[name] - before[name] for name in after}
    assert grown["truechimer_analyzer_batches_total"] == 2
    assert grown["truechimer_analyzer_duplicate_batches_total"] == 1
    assert grown["truechimer_analyzer_refused_lines_total"] == 1
    assert grown["truechimer_analyzer_commit_seconds_count"] == 3


def test_metrics_have_what_is_proven_of_skew_and_nothing_without_a_mesh():
    """By cluster; what is unproven is absent, never NaN."""
    hosts = [Host(name, peers=[each for each in "ab" if each != name]) for name in "ab"]
    fleet = Fleet(hosts, np.random.default_rng(1)).samples()
    for samples, expected in (
        (fleet, {"proven_within": 1, "contradictory": 0, "left_out": 0, "max_offset_seconds": 0.25}),
        ([sample for sample in fleet if sample.measurement != "truechimer_rtt"], None),
    ):
        metrics = Metrics()
        metrics.skew.refresh(ArrayStore(samples, NOW_S), LimitsConfig())
        text = metrics.text().decode()
        assert ("truechimer_skew_epsilon_seconds{" in text) == (expected is not None)
        assert "NaN" not in text
        for name, value in (expected or {}).items():
            assert f'truechimer_skew_{name}{{cluster="prod"}} {float(value)}' in text
    metrics.skew.refresh(ArrayStore(fleet, NOW_S), LimitsConfig())
    assert "truechimer_skew_epsilon_seconds{" not in metrics.text().decode(), "asked again within 10 s"


def _metrics(running):
    rows = [
        row.split() for row in running.get("/metrics").body.decode().splitlines() if not row.startswith("#")
    ]
    return {name: float(value) for name, value in rows if "{" not in name}


def test_health(running):
    """200 with the version while all is well."""
    answer = running.get("/healthz")
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert answer.json["version"]


def test_page_is_served_with_its_protections(running):
    """The page and its scripts: own origin only, revalidated, nothing outside its folder."""
    page = running.get("/")
    assert page.status == 200
    assert "text/html" in page.headers["content-type"]
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    again = running.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert "javascript" in running.get("/main.js").headers["content-type"]
    for path in ("/../daemon.py", "/%2e%2e/daemon.py", "/..%2fdaemon.py", "/nothing.js"):
        assert running.get(path).status == 404, path


def test_bytes_that_are_no_http_are_answered_and_forgotten(running):
    """Nonsense on the port harms nobody."""
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 100_000):
        with socket.create_connection((running.host, running.port), timeout=20) as stream:
            stream.sendall(nonsense)
            stream.shutdown(socket.SHUT_WR)
            try:
                while stream.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert running.get("/healthz").status == 200


def test_many_readers_of_events_do_not_hold_writers(running):
    """Streams that nobody reads from cost writers nothing."""
    streams = [socket.create_connection((running.host, running.port)) for _ in range(30)]
    for stream in streams:
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    begun = time.perf_counter()
    for i in range(5):
        assert running.write(line(T0 + i, "unread").encode()).status == 204
    assert time.perf_counter() - begun < 10
    for stream in streams:
        stream.close()


def test_documents_never_hold_nan():
    """NaN and the infinities become null; NumPy's values plain; what cannot be JSON is an error of ours."""
    value = {
        "a": float("nan"),
        1: (np.float64("inf"), np.int64(3), np.bool_(True)),
        "z": np.array([1.0, np.nan]),
    }
    assert plain(value) == {"a": None, "1": [None, 3, True], "z": [1.0, None]}
    with pytest.raises(TypeError):
        plain(NotEnough("x"))


def test_fields_are_thinned_by_what_they_mean():
    """Bounds by their outer ends, counters and codes by their last, the rest by the mean."""
    assert default_aggregate("wall_minus_steady_seconds_min") == "min"
    assert default_aggregate("frequency_upper_ppm") == "max"
    assert default_aggregate("late_seconds_max") == "max"
    assert default_aggregate("errors_total") == "last"
    assert default_aggregate("verdict") == "last"
    assert default_aggregate("wall_rate_ppm") == "avg"


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost:8723", True),
        ("127.0.0.1", True),
        ("[::1]:8723", True),
        ("::1", True),
        ("10.0.0.1:80", True),
        ("evil.example", False),
        ("localhost.evil.example:8723", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_host_headers_that_cannot_be_rebound(host, ours):
    """Localhost and addresses only: any other name may point here by somebody's design."""
    assert names_this_host(host) is ours
