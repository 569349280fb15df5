"""Skew as Markdown: each cluster's figures, who contradicts whom, the worst pairs, what is not proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truechimer_analyzer.report.blocks import escaped, listed, table
from truechimer_analyzer.report.figures import count, length, signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ASSUMPTIONS = (
    "between packets two oscillators stay within the frequency bounds that their nodes measured",
    "between two readings, 0.25 s apart, a wall clock is slewed by no more than 500 ppm and back",
    "a node that tells a false W − S, or lies to all alike, is not found out by its peers",
)
PAIRS_SHOWN = 10


def section(skew: Mapping[str, Any]) -> Iterator[str]:
    """The blocks of the document of ``skew``."""
    for cluster in skew["clusters"]:
        yield from _cluster(cluster)


def _cluster(cluster: Mapping[str, Any]) -> Iterator[str]:
    k, limit = cluster["k"], cluster["max_offset"]
    within = f"{limit['judgement'].replace('_', ' ')} {length(limit['configured_s'])}"
    wrong = "one node is" if k == 1 else f"{k} nodes are"
    yield (
        f"**{escaped(cluster['cluster'])}: {count(len(cluster['nodes']), 'wall clock')} at most "
        f"{length(cluster['epsilon_s'])} apart, and {length(cluster['epsilon_k_s'])} even if {wrong} wrong "
        f"unnoticed: {within}.** Commit wait {length(cluster['commit_wait_s'])}; the last write can be "
        f"lost among writes less than {length(cluster['lww_gap_s'])} apart. "
        f"At {cluster['at'] or 'no instant'}."
    )
    reasons = [cluster["why_unproven"], cluster["why_k_unproven"]]
    yield listed(escaped(f"Unproven: {why}") for why in dict.fromkeys(reasons) if why)
    yield from _contradiction(cluster["inconsistent"])
    pairs = cluster["pairs"][:PAIRS_SHOWN]
    if pairs:
        yield f"The worst {len(pairs)} of {count(cluster['of_pairs'], 'pair')}:"
        yield table(
            ("a", "b", "clock of b − of a, from", "to", f"if {wrong} wrong, from", "to"),
            [
                (
                    escaped(pair["a"]),
                    escaped(pair["b"]),
                    *(signed(pair[end]) for end in ("lower_s", "upper_s", "lower_k_s", "upper_k_s")),
                )
                for pair in pairs
            ],
        )
    lacking = [f"{node['node']}: {node['missing']}" for node in cluster["left_out"]]
    lacking += [
        f"{pair['a']} and {pair['b']}: {pair['missing']}" for pair in cluster["unproven"][:PAIRS_SHOWN]
    ]
    if lacking:
        yield "Nothing is proven of:"
        yield listed(escaped(each) for each in lacking)


def _contradiction(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["cycle"]:
        return
    if found["certain"]:
        who = f"{', '.join(found['certain'])} must be wrong"
    elif found["one_of"]:
        who = f"one of {', '.join(found['one_of'])} must be wrong"
    else:
        who = "several must be wrong"
    around = " → ".join([*found["cycle"], found["cycle"][0]])
    yield (
        f"**The evidence contradicts itself: {escaped(who)}.** Round {escaped(around)} the bounds fall short "
        f"by {length(found['excess_s'])}:"
    )
    yield listed(
        escaped(
            f"{each['to']} − {each['from']} at most {each['at_most_s']:.6f} s (steady clocks), "
            + (f"{each['node']} asked {each['peer']}" if each["peer"] else f"servers of {each['node']}")
            + f" at {each['at']}"
        )
        for each in found["evidence"]
    )
