"""``truechimer skew`` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from truechimer_cli.amounts import UNKNOWN, seconds, text
from truechimer_cli.output import BAD, GOOD, UNSURE, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

_JUDGEMENTS = {"proven_within": GOOD, "unproven": UNSURE, "proven_beyond": BAD}
_BY = {"ntp": "its own servers", "peers": "its peers", "ntp_and_peers": "its servers and its peers"}
PAIRS_SHOWN = 20
"""A table is read by people: --json has the others."""


def tables(document: dict[str, Any]) -> list[RenderableType]:
    """Each cluster's figures, contradictions, worst pairs, nodes against UTC, and what is not proven."""
    clusters = document.get("clusters") or []
    parts: list[RenderableType] = [_figures(clusters)]
    for cluster in clusters:
        parts += _cluster(cluster)
    return [*parts, "", f"as of {text(document.get('as_of'))}"]


def _figures(clusters: list[dict[str, Any]]) -> RenderableType:
    columns = (
        "cluster",
        "judgement",
        ">max offset",
        ">ε: at most apart",
        f">if {_wrong(clusters[0] if clusters else {})}",
        "worst pair",
        ">commit wait",
        ">LWW gap",
        ">nodes",
        ">instant",
    )
    return table("Skew: how far apart wall clocks can be", columns, [_figure(each) for each in clusters])


def _figure(cluster: dict[str, Any]) -> list[RenderableType]:
    limit = cluster.get("max_offset") or {}
    judgement, age = str(limit.get("judgement")), cluster.get("age_s")
    return [
        Text(text(cluster.get("cluster"))),
        Text(judgement.replace("_", " "), style=_JUDGEMENTS.get(judgement, UNSURE)),
        seconds(limit.get("configured_s")),
        seconds(cluster.get("epsilon_s")),
        seconds(cluster.get("epsilon_k_s")),
        Text(" – ".join(cluster.get("worst_pair") or cluster.get("worst_pair_k") or ()) or UNKNOWN),
        seconds(cluster.get("commit_wait_s")),
        seconds(cluster.get("lww_gap_s")),
        str(len(cluster.get("nodes") or [])),
        UNKNOWN if age is None else f"{seconds(age)} ago",
    ]


def _wrong(cluster: dict[str, Any]) -> str:
    """Under which condition the second figures hold."""
    k = cluster.get("k")
    return "1 is wrong" if k == 1 else f"{text(k)} are wrong"


def _cluster(cluster: dict[str, Any]) -> Iterable[RenderableType]:
    name, wrong = text(cluster.get("cluster")), _wrong(cluster)
    ends = (">at least", ">at most", f">if {wrong}, at least", ">at most")
    rows: list[list[RenderableType]]
    yield from _reasons(cluster)
    yield from _contradiction(cluster)
    pairs, of = cluster.get("pairs") or [], cluster.get("of_pairs")
    if pairs:
        shown = pairs[:PAIRS_SHOWN]
        title = f"{name}: wall clock of b − of a"
        if len(shown) != of:
            title += f", the worst {len(shown)} of {text(of)} pairs"
        rows = [[Text(text(pair.get("a"))), Text(text(pair.get("b"))), *_ends(pair)] for pair in shown]
        yield ""
        yield table(title, ("a", "b", *ends), rows)
    nodes = cluster.get("nodes") or []
    if nodes:
        rows = [[Text(text(node.get("node"))), *_ends(node, "utc_"), Text(_by(node))] for node in nodes]
        yield ""
        yield table(f"{name}: UTC − wall", ("node", *ends, "proven by"), rows)
    yield from _lacking(cluster)


def _ends(bounds: dict[str, Any], prefix: str = "") -> list[RenderableType]:
    """When all evidence is true, and when it is not."""
    return [
        seconds(bounds.get(f"{prefix}{end}_s"), signed=True)
        for end in ("lower", "upper", "lower_k", "upper_k")
    ]


def _by(node: dict[str, Any]) -> str:
    return _BY.get(str(node.get("utc_by")), "nobody: no bound of UTC is proven")


def _reasons(cluster: dict[str, Any]) -> Iterable[RenderableType]:
    """Why a figure is missing."""
    name, why, why_k = (
        text(cluster.get("cluster")),
        cluster.get("why_unproven"),
        cluster.get("why_k_unproven"),
    )
    if why:
        yield ""
        yield Text(f"{name}: ε is not proven: {why}", style=UNSURE)
    if why_k and why_k != why:
        yield Text(f"{name}: if {_wrong(cluster)}, nothing is proven: {why_k}", style=UNSURE)


def _contradiction(cluster: dict[str, Any]) -> Iterable[RenderableType]:
    """Who is wrong, and the evidence, in words."""
    found = cluster.get("inconsistent") or {}
    if not found.get("cycle"):
        return
    certain, one_of, k = found.get("certain") or [], found.get("one_of") or [], text(cluster.get("k"))
    if certain:
        said = f"{', '.join(certain)} must be wrong, if no more than {k} are"
        said += f"; besides, one of {', '.join(one_of)}" if one_of else ""
    elif one_of:
        said = f"one of {', '.join(one_of)} must be wrong; which one cannot be told"
    else:
        suspects = ", ".join(found.get("suspects") or []) or UNKNOWN
        said = f"more than {k} must be wrong; most speaks against {suspects}"
    yield ""
    yield Text(f"{text(cluster.get('cluster'))}: the evidence contradicts itself: {said}", style=BAD)
    for each in found.get("evidence") or []:
        yield Text(f"  {claim(each)}")
    yield Text(f"  Together that is {seconds(found.get('excess_s'))} too little: not all of it can be true.")


def claim(each: dict[str, Any]) -> str:
    """One constraint: what it says, and the sample that says so."""
    to, origin = (
        name if name == "UTC" else f"S of {name}" for name in (str(each.get("to")), str(each.get("from")))
    )
    most = each.get("at_most_s")
    says = f"{to} − {origin} is at most {UNKNOWN if most is None else f'{most:+.6f} s'}"
    at = text(each.get("at"))
    aged = f"aged by {seconds(each.get('aged_s'))}"
    if each.get("by") == "exchange":
        whom = f"{text(each.get('node'))} asked {text(each.get('peer'))} at {at}"
        return f"{says}: {whom}, round trip {seconds(each.get('rtt_s'))}, {aged}"
    return f"{says}: by the servers of {text(each.get('node'))} at {at}, {aged}"


def _lacking(cluster: dict[str, Any]) -> Iterable[RenderableType]:
    """Nodes that are left out, and pairs of the others of which nothing is proven."""
    name = text(cluster.get("cluster"))
    left_out = cluster.get("left_out") or []
    if left_out:
        rows = [_left_out(node) for node in left_out]
        yield ""
        yield table(f"{name}: left out, nothing is proven of them", ("node", "why", ">last told"), rows)
    unproven = (cluster.get("unproven") or [])[:PAIRS_SHOWN]
    if unproven:
        title = f"{name}: unproven, {len(unproven)} of {text(cluster.get('of_unproven'))} pairs"
        names = ("a", "b", "missing")
        yield ""
        yield table(title, names, [[Text(text(pair.get(each))) for each in names] for pair in unproven])


def _left_out(node: dict[str, Any]) -> list[RenderableType]:
    told = node.get("last_told_s")
    return [
        Text(text(node.get("node")), style=UNSURE),
        Text(text(node.get("missing"))),
        UNKNOWN if told is None else f"{seconds(told)} ago",
    ]
