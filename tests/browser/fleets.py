"""Documents in the contract's shapes for pages to show: fleets in good order, in trouble, and malformed."""

import math
import random
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
AS_OF = "2026-11-22T20:00:00.000000000Z"
AS_OF_S = 1795377600.0
HOSTILE = "<img src=x onerror=document.title='pwned'>"


@dataclass
class Fleet:
    """What a fake analyzer answers: documents by command, other statuses than 200, series by measurement."""

    documents: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    series: dict[str, Any] = field(default_factory=dict)


def node(name: str, lower_s: float | None, upper_s: float | None, **changes: Any) -> Document:
    """One node of the clocks document."""
    known = lower_s is not None and upper_s is not None
    servers = (
        [
            {
                "server": f"10.0.0.{i}",
                "verdict": "selected",
                "reason": None,
                "lower_s": lower_s - 1e-5 * i,
                "upper_s": upper_s + 2e-5 * i,
                "delay_s": 0.0004 * i,
                "stratum": 1 + i % 2,
            }
            for i in (1, 2, 3, 4)
        ]
        if known
        else []
    )
    return {
        "cluster": "prod",
        "node": name,
        "state": "ok",
        "judgement": "proven_within",
        "offset_s": (lower_s + upper_s) / 2 if known else None,
        "lower_s": lower_s,
        "upper_s": upper_s,
        "frequency_ppm": 12.1,
        "frequency_lower_ppm": 11.8,
        "frequency_upper_ppm": 12.5,
        "status": "synchronized",
        "reason": None,
        "flags": [],
        "servers": servers,
        "last_seen_s": 2.1,
        **changes,
    }


def clocks(*nodes: Document) -> Document:
    """The clocks document."""
    counted = {
        j: sum(n["judgement"] == j for n in nodes) for j in ("proven_within", "unproven", "proven_beyond")
    }
    return {
        "as_of": AS_OF,
        "window_s": 3600,
        "limits": {"max_offset_s": 0.05},
        "nodes": list(nodes),
        "summary": {"nodes": len(nodes), **counted},
    }


def source(name: str, seed: int = 1, pauses: int = 40) -> Document:
    """One host's pauses."""
    rng = random.Random(seed)
    causes = ["run_queue", "run_queue", "run_queue", "io", "throttled", "steal", "stopped", "unknown"]
    timeline = sorted(
        (
            {
                "at": at(rng.uniform(0, 3500)),
                "duration_s": 0.005 * rng.paretovariate(1.3),
                "cause": rng.choice(causes),
                "confidence": round(rng.uniform(0.6, 1), 2),
                "evidence": {"run_delay_s": 0.0061, "major_faults": 3},
            }
            for _ in range(pauses)
        ),
        key=lambda one: one["at"],
    )
    longest = sorted(timeline, key=lambda one: -one["duration_s"])[:10]
    return {
        "node": name,
        "source": "host",
        "runtime": "host",
        "state": "watched",
        "last_watched_s": 4.0,
        "observed_s": 3590.0,
        "unwatched_s": 0.0,
        "unwatched": [],
        "count": pauses,
        "count_of": "pauses",
        "recorded": pauses,
        "not_seen_singly": 0,
        "total_s": sum(one["duration_s"] for one in timeline),
        "per_hour": float(pauses),
        "p50_s": 0.0081 if pauses else None,
        "p99_s": 0.061 if pauses else None,
        "max_s": longest[0]["duration_s"] if longest else 0.0011,
        "residual_p999_s": 0.0019,
        "residual_p999_upper_s": 0.0019,
        "causes": {},
        "curve": exceedances([one["duration_s"] for one in timeline]),
        "longest": longest,
        "timeline": timeline,
    }


def exceedances(durations: list[float]) -> list[Document]:
    """The curve of these lengths."""
    falling = sorted(durations, reverse=True)
    points = [
        {"exceedance": (k + 1) / len(falling), "duration_s": length} for k, length in enumerate(falling)
    ]
    return points[::-1]


def at(age_s: float) -> str:
    """A time this long before the documents' own."""
    seconds = 19 * 3600 + 3600 - max(age_s, 0.001)
    whole, rest = divmod(seconds, 1)
    clock = f"{int(whole) // 3600:02}:{int(whole) // 60 % 60:02}:{int(whole) % 60:02}"
    return f"2026-11-22T{clock}.{int(rest * 1e9):09}Z"


def path(name: str, peer: str, base_s: float, lost: int = 0) -> Document:
    """One path's round trips, with its curve."""
    curve = [
        {"exceedance": 10 ** (-k / 8), "rtt_s": base_s * (1 + 0.06 * k + 0.0035 * k**2.4)} for k in range(29)
    ]
    rtt = {f"p{q}_s": curve[i]["rtt_s"] for q, i in (("50", 2), ("90", 8), ("99", 16), ("999", 24))}
    return {
        "node": name,
        "peer": peer,
        "via": "icmp",
        "count": 3600 - lost,
        "lost": lost,
        "lost_forward": None,
        "lost_backward": None,
        "refused": 0,
        "min_s": base_s * 0.9,
        **rtt,
        "max_s": curve[-1]["rtt_s"],
        "span_s": 3600,
        "curve": curve,
    }


def skew(*clusters: Document) -> Document:
    """The skew document."""
    return {"as_of": AS_OF, "clusters": list(clusters)}


def deviation(kind: str, record: str, *, most_s: float = 7200.0) -> list[Document]:
    """One deviation of a record, much as of a real clock: white phase noise, then a wandering rate."""
    noise_s, wander = {"wall_minus_steady": (2e-8, 3e-10), "utc_minus_steady": (2e-6, 4e-10)}.get(
        record, (2e-6, 1e-11)
    )
    found = []
    for tau_s in (10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400):
        if tau_s > most_s:
            break
        adev = math.hypot(1.7 * noise_s / tau_s, wander * math.sqrt(tau_s))
        value = {
            "adev": adev,
            "tdev": tau_s / math.sqrt(3) * math.hypot(noise_s / tau_s**1.3, wander * math.sqrt(tau_s)),
            "mtie": 6 * noise_s + (12e-6 * tau_s if record != "utc_minus_wall" else 0.0),
        }[kind]
        spread = 1 + 2 * tau_s / most_s
        sure = record == "wall_minus_steady" or kind != "mtie"
        found.append(
            {
                "tau_s": float(tau_s),
                "value": value,
                "lower": value / spread**0.6 if sure else max(0.0, value - 2.2e-4),
                "upper": value * spread if sure else value + 2.2e-4,
                "terms": max(3, int(most_s * 3 / 10) - 2 * tau_s // 10),
            }
        )
    return found


def record(name: str, *, most_s: float = 7200.0, needed_s: float | None = None) -> Document:
    """One record of the stability document; refused when it needs more."""
    refused = needed_s is not None
    return {
        "series": name,
        "points": 20 if refused else int(most_s / 3),
        "stretches": 1 if refused else 2,
        "span_s": 190.0 if refused else most_s * 3,
        "longest_s": 190.0 if refused else most_s * 2,
        "used_share": 0.053 if refused else 0.98,
        "breaks": {} if refused or name == "utc_minus_steady" else {"step": 1},
        "half_width_s": 1e-7 if name == "wall_minus_steady" else 1.1e-4,
        **{
            kind: [] if refused else deviation(kind, name, most_s=most_s) for kind in ("adev", "tdev", "mtie")
        },
        "refused": {
            "reason": "190 s of the window are without gap or step: it takes 300 s",
            "needed_s": needed_s,
        }
        if refused
        else None,
    }


def watched(fleet: Fleet) -> Fleet:
    """With a JVM that fell silent, its pauses in part not seen singly, its process, its heap, and a disk."""
    (host,) = fleet.documents["pauses"]["sources"]
    who = {"cluster": "prod", "node": host["node"]}
    host.update(
        unwatched=[{"from": at(2400), "to": at(1800)}], unwatched_s=600.0, observed_s=2990.0, cluster="prod"
    )
    beside = {**who, "source": "cassandra", "runtime": "jvm", "state": "unknown", "last_watched_s": 900.0}
    together = {
        "at": at(1500),
        "duration_s": 0.05,
        "upper_s": 0.3,
        "pauses": 9,
        "sum_s": 0.45,
        "cause": "gc",
        "confidence": 0.9,
        "evidence": {"sync_seconds": 0.004},
    }
    jvm = {
        **source("web-1", seed=5, pauses=0),
        **beside,
        "observed_s": 2700.0,
        "unwatched_s": 900.0,
        "unwatched": [{"from": at(900), "to": at(0)}],
        "count": 9,
        "recorded": 9,
        "not_seen_singly": 9,
        "total_s": 0.45,
        "max_s": 0.05,
        "max_upper_s": 0.3,
        "residual_p999_upper_s": 0.005,
        "longest": [together],
        "timeline": [together],
    }
    process = {
        **beside,
        "processes": 0,
        "started": 1,
        "ended": 1,
        "run_s": 30.0,
        "run_delay_s": 90.0,
        "run_delay_ratio": 0.75,
        "run_delay_max_s": 4.5,
        "major_faults": 12,
        "stopped_s": 0.25,
    }
    heap = {
        **beside,
        "state": "watched",
        "old_used_bytes": 1_020_054_733,
        "old_limit_bytes": 1_073_741_824,
        "old_full_ratio": 0.95,
        "old_full_ratio_max": 0.97,
        "warning": "nearly_full",
    }
    disk = {
        **who,
        "disk": "/var/lib/etcd",
        "state": "watched",
        "observed_s": 3600.0,
        "probes": 3600,
        "outcomes": {"done": 3599, "failed": 1},
        "p50_s": 0.0011,
        "p99_s": 0.0094,
        "p999_s": 0.12,
        "max_s": 1.25,
        "curve": exceedances([0.001 + 1.249 * (i / 99) ** 8 for i in range(100)]),
    }
    fleet.documents["pauses"] |= {
        "as_of": AS_OF,
        "sources": [host, jvm],
        "processes": [process],
        "heaps": [heap],
        "disks": [disk],
    }
    return fleet


def stability(*names: str, **options: Any) -> Document:
    """The stability document of these nodes."""
    kinds = ("wall_minus_steady", "utc_minus_steady", "utc_minus_wall")
    return {
        "as_of": AS_OF,
        "spacing_s": 10.0,
        "confidence": 0.95,
        "nodes": [
            {"cluster": "prod", "node": name, "series": [record(kind, **options) for kind in kinds]}
            for name in names
        ],
    }


TIMEOUTS: Document = {
    "evidence": {
        "paths": 3,
        "samples": 10800,
        "span_s": 3600,
        "lost": 4,
        "max_rtt_s": 0.031,
        "max_pause_s": 0.14,
        "n_eff": 6020,
        "rate_hz": 1.0,
        "supported_exceedance": 5e-4,
    },
    "uses": [
        {
            "use": "request",
            "timeout_s": None,
            "false_per_month": None,
            "detection_s": None,
            "binding": None,
            "basis": "empirical",
            "refused": {
                "reason": "1 false alarm a month takes about 90 days of round trips at this rate",
                "needed_s": 7776000,
            },
            "strictest_supported": {"timeout_s": 0.041, "false_per_month": 1296},
        },
        {
            "use": "hedge",
            "timeout_s": 0.0121,
            "false_per_month": {"estimate": 12960, "upper": 14020},
            "detection_s": {"min": 0.0121, "mean": 0.0121, "max": 0.0121},
            "binding": "rtt:10.0.0.1@web-1",
            "basis": "empirical",
            "refused": None,
            "strictest_supported": None,
        },
        {
            "use": "heartbeat",
            "timeout_s": 3.2,
            "false_per_month": {"estimate": 0, "upper": 0.9},
            "detection_s": {"min": 2.2, "mean": 2.7, "max": 3.2},
            "binding": "pause:host@web-1",
            "basis": "extrapolated",
            "refused": None,
            "strictest_supported": None,
        },
    ],
    "frontier": [],
    "products": [],
    "backtest": [],
}


def series(measurement: str) -> Document:
    """An hour of one node: a band that breathes, a rate, one step."""
    times = [AS_OF_S - 3600 + 10 * i for i in range(360)]
    if measurement == "truechimer_clock_event":
        found = [
            {"tags": {"kind": "agent_start"}, "time_s": [AS_OF_S - 3590], "fields": {"size_seconds": [None]}},
            {"tags": {"kind": "step"}, "time_s": [AS_OF_S - 1200.5], "fields": {"size_seconds": [-0.0021]}},
        ]
    elif measurement == "truechimer_clock":
        rate = [12.0 + 0.4 * math.sin(i / 30) + 0.08 * math.sin(i * 1.7) for i in range(360)]
        found = [{"tags": {}, "time_s": times, "fields": {"wall_rate_ppm": rate}}]
    else:
        middle = [
            1.2e-4 * math.sin(i / 40) + (0.0021 if i > 240 else 0) * math.exp(-(i - 240) / 25)
            for i in range(360)
        ]
        half = [2.4e-4 + 1.5e-5 * (i % 6) for i in range(360)]
        drop = range(120, 140)
        kept = [i for i in range(360) if i not in drop]
        found = [
            {
                "tags": {},
                "time_s": [times[i] for i in kept],
                "fields": {
                    "lower_seconds": [middle[i] - half[i] for i in kept],
                    "upper_seconds": [middle[i] + half[i] for i in kept],
                },
            }
        ]
    return {"measurement": measurement, "series": found}


SERIES = {name: series(name) for name in ("truechimer_bound", "truechimer_clock", "truechimer_clock_event")}
NO_SERIES = {name: {"measurement": name, "series": []} for name in SERIES}


def empty() -> Fleet:
    """Nobody has reported."""
    refusal = {"error": "no round trips in the last hour", "hint": "wait for samples", "document": None}
    return Fleet(
        {
            "clocks": clocks(),
            "rtt": {"paths": []},
            "skew": skew(),
            "pauses": {"sources": []},
            "stability": stability(),
            "timeouts": refusal,
        },
        {"timeouts": 422},
        NO_SERIES,
    )


def one_host() -> Fleet:
    """One host in good order with a falseticker among its servers."""
    host = node("web-1", -0.000211, 0.000340)
    host["servers"].append(
        {
            "server": "10.0.0.9",
            "verdict": "falseticker",
            "reason": "falseticker",
            "lower_s": 0.0366,
            "upper_s": 0.0374,
            "delay_s": 0.0006,
            "stratum": 1,
        }
    )
    host["flags"] = [
        {
            "flag": "falseticker_in_use",
            "since": at(900),
            "evidence": {"server": "10.0.0.9", "offset_s": 0.037},
        }
    ]
    paths = [
        path("web-1", "10.0.0.1", 0.0004),
        path("web-1", "10.0.0.53", 0.0011, lost=4),
        path("web-1", "db-1:5432", 0.0043),
    ]
    return Fleet(
        {
            "clocks": clocks(host),
            "rtt": {"paths": paths},
            "skew": skew(),
            "pauses": {"sources": [source("web-1")]},
            "stability": stability("web-1"),
            "timeouts": TIMEOUTS,
        },
        {},
        SERIES,
    )


def many_hosts() -> Fleet:
    """Fifty hosts, some in every kind of trouble."""
    rng = random.Random(2)
    nodes = [node(f"host-{i}", -rng.uniform(1e-4, 4e-4), rng.uniform(1e-4, 5e-4)) for i in range(1, 46)]
    since = at(300)
    nodes += [
        node(
            "db-far",
            -0.0841,
            -0.0833,
            state="offset",
            judgement="proven_beyond",
            flags=[
                {
                    "flag": "offset",
                    "since": since,
                    "evidence": {"lower_s": -0.0841, "upper_s": -0.0833, "limit_s": 0.05},
                }
            ],
        ),
        node(
            "db-drift",
            -0.012,
            0.031,
            state="drifting",
            frequency_ppm=238.0,
            flags=[{"flag": "drifting", "since": since, "evidence": {"frequency_ppm": 238}}],
        ),
        node(
            "db-dark",
            None,
            None,
            state="no_majority",
            judgement="unproven",
            status="unknown",
            reason="no_majority",
            frequency_ppm=None,
            flags=[{"flag": "no_majority", "since": since, "evidence": {"servers": 2}}],
        ),
        node(
            "db-stale",
            -0.002,
            0.081,
            state="stale",
            judgement="unproven",
            last_seen_s=744.0,
            flags=[{"flag": "stale", "since": since, "evidence": {"last_seen_s": 744}}],
        ),
        node(
            "db-stepped",
            -0.0004,
            0.0004,
            state="stepped",
            flags=[{"flag": "stepped", "since": since, "evidence": {"size_s": -0.5}}],
        ),
    ]
    names = [n["node"] for n in nodes]
    paths = [path(name, "10.0.0.1", 0.0003 * (1 + i / 9), lost=i % 3) for i, name in enumerate(names)]
    sources = [source(name, i, pauses=(i * 7) % 30) for i, name in enumerate(names)]
    return Fleet(
        {
            "clocks": clocks(*nodes),
            "rtt": {"paths": paths},
            "skew": skew(),
            "pauses": {"sources": sources},
            "stability": stability(*names, most_s=86_400.0),
            "timeouts": TIMEOUTS,
        },
        {},
        SERIES,
    )


def broken_records() -> list[Any]:
    """Records of the stability document in which nothing is as it should be."""
    bad = {"tau_s": 10, "value": None, "lower": HOSTILE}
    return [
        {
            "series": "utc_minus_wall",
            "adev": [bad, None, {"tau_s": -1, "value": 1}, {"tau_s": 10, "value": 1e-300}],
            "tdev": "none",
            "mtie": [{"tau_s": 10, "value": 1e300, "lower": 0}],
            "breaks": {HOSTILE: 1, "gap": HOSTILE},
            "refused": None,
        },
        {"series": "wall_minus_steady", "refused": HOSTILE},
        {"series": HOSTILE, "adev": [bad]},
        7,
    ]


def broken() -> Fleet:
    """Documents in which everything may be null, missing, of the wrong type, or an attack."""
    nodes = [
        {
            "cluster": HOSTILE,
            "node": HOSTILE,
            "state": HOSTILE,
            "judgement": "toString",
            "offset_s": "NaN",
            "lower_s": None,
            "upper_s": 5,
            "flags": [{"flag": HOSTILE, "since": HOSTILE, "evidence": {HOSTILE: HOSTILE}}, None, 3],
            "servers": [{"server": HOSTILE, "verdict": HOSTILE, "lower_s": 2, "upper_s": 1}, "x"],
            "last_seen_s": 1.0,
        },
        {},
        None,
        7,
        {"node": "n", "lower_s": 1, "upper_s": -1, "flags": None, "servers": {"a": 1}},
        {"node": "huge", "lower_s": -1e300, "upper_s": 1e300, "last_seen_s": 1},
        {"node": "zero", "lower_s": 0, "upper_s": 0, "offset_s": 0, "frequency_ppm": 0, "last_seen_s": 0},
    ]
    bad_pause = {"at": "yesterday", "duration_s": None, "cause": 3, "evidence": []}
    return Fleet(
        {
            "clocks": {"as_of": None, "window_s": None, "nodes": nodes, "limits": "none"},
            "rtt": {
                "paths": [
                    {
                        "node": HOSTILE,
                        "peer": "n",
                        "via": "stamp",
                        "lost_forward": "x",
                        "hours": [{"from": 3}, None],
                    },
                    {"node": HOSTILE, "peer": HOSTILE, "curve": [{"exceedance": 0, "rtt_s": -1}, None]},
                    5,
                    {},
                ]
            },
            "skew": {
                "clusters": [
                    {
                        "cluster": HOSTILE,
                        "epsilon_s": "NaN",
                        "worst_pair": [HOSTILE],
                        "k": None,
                        "pairs": [{"a": HOSTILE, "b": "n", "lower_s": 1, "upper_s": -1}, {}, None],
                        "inconsistent": {
                            "certain": HOSTILE,
                            "one_of": [[HOSTILE, 4], "n"],
                            "cycle": [HOSTILE],
                        },
                        "max_offset": {"judgement": "toString"},
                    },
                    {},
                    3,
                ]
            },
            "pauses": {
                "sources": [
                    {
                        "node": HOSTILE,
                        "source": HOSTILE,
                        "timeline": [bad_pause, None],
                        "longest": [bad_pause, {"at": at(5), "duration_s": 0.1, "cause": HOSTILE}],
                        "causes": [],
                    },
                    {},
                ]
            },
            "stability": {
                "nodes": [
                    {"cluster": HOSTILE, "node": HOSTILE, "series": broken_records()},
                    {"node": HOSTILE, "series": "none"},
                    None,
                    3,
                ]
            },
            "timeouts": {
                "evidence": None,
                "uses": [{"use": HOSTILE, "refused": {"reason": HOSTILE}}, {}, None, 4],
            },
        },
        {},
        {
            "truechimer_bound": {
                "series": [
                    {
                        "time_s": [1, None, "x", AS_OF_S],
                        "fields": {"lower_seconds": [None], "upper_seconds": "?"},
                    }
                ]
            },
            "truechimer_clock": {"series": "none"},
            "truechimer_clock_event": [],
        },
    )
