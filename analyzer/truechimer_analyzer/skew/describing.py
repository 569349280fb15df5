"""What is proven of clusters, as the document of ``truechimer skew`` has it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from truechimer.codes import Judgement
from truechimer_analyzer.skew.ageing import Kind
from truechimer_analyzer.skew.consequences import commit_wait_s, judge_max_offset, lww_gap_s
from truechimer_analyzer.skew.epsilon import Reason
from truechimer_analyzer.skew.pairs import PAIRS_SHOWN, pairs_of
from truechimer_analyzer.skew.proving import Lack
from truechimer_analyzer.window import NS, iso, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truechimer_analyzer.skew.constraints import Floats
    from truechimer_analyzer.skew.epsilon import Epsilon, Unproven
    from truechimer_analyzer.skew.proving import Proof
    from truechimer_analyzer.skew.reading import Evidence

Document = dict[str, object]


def describe(
    proof: Proof,
    evidence: Evidence,
    as_of_ns: int,
    max_offset_s: float,
    k: int,
    pairs_shown: int = PAIRS_SHOWN,
    node: str | None = None,
) -> Document:
    """One cluster's part of the contract's ``skew``; only pairs of ``node`` where one is named."""
    names, plain, robust = proof.cluster.names, proof.all_true, proof.robust
    epsilon_s, epsilon_k_s = (each.epsilon_s if each else None for each in (plain, robust))
    within = None if node is None or node not in names else names.index(node)
    pairs, of_pairs, unproven, of_unproven = pairs_of(proof, within, pairs_shown)
    return {
        "cluster": proof.cluster.name,
        "at": None if math.isnan(proof.at_s) else iso(round(proof.at_s * NS)),
        "at_by": _at_by(proof),
        "age_s": number(as_of_ns / NS - proof.at_s),
        "epsilon_s": epsilon_s,
        "epsilon_k_s": epsilon_k_s,
        "k": k,
        "worst_pair": _names(names, plain.worst_pair) if plain else None,
        "worst_pair_k": _names(names, robust.worst_pair) if robust else None,
        "why_unproven": _why(proof, plain),
        "why_k_unproven": _why(proof, robust),
        "commit_wait_s": None if epsilon_s is None else commit_wait_s(epsilon_s),
        "commit_wait_k_s": None if epsilon_k_s is None else commit_wait_s(epsilon_k_s),
        "lww_gap_s": None if epsilon_s is None else lww_gap_s(epsilon_s),
        "lww_gap_k_s": None if epsilon_k_s is None else lww_gap_s(epsilon_k_s),
        "method": plain.method.value if plain else None,
        "method_k": robust.method.value if robust else None,
        "max_offset": {
            "configured_s": max_offset_s,
            "judgement": _judged(proof, robust, max_offset_s).value,
            "judgement_all_true": _judged(proof, plain, max_offset_s).value,
        },
        "inconsistent": _inconsistent(proof, evidence),
        "nodes": [_node(proof, each) for each in proof.members if within in (None, each)],
        "left_out": [
            _left_out(proof, each, lack, as_of_ns)
            for each, lack in proof.lacks.items()
            if within in (None, each)
        ],
        "pairs": pairs,
        "of_pairs": of_pairs,
        "unproven": unproven,
        "of_unproven": of_unproven,
    }


def _at_by(proof: Proof) -> str | None:
    """Whose clock says when the instant was: UTC's where anybody's bound of it counts, else a node's."""
    roots = proof.places.root[list(proof.members)].tolist()
    return proof.cluster.names[min(roots)] if roots else None


def _names(names: tuple[str, ...], pair: tuple[int, int] | None) -> list[str] | None:
    return None if pair is None else sorted(names[each] for each in pair)


def _judged(proof: Proof, epsilon: Epsilon | None, max_offset_s: float) -> Judgement:
    """Within only when nobody is left out."""
    found = judge_max_offset(epsilon, max_offset_s) if epsilon else Judgement.UNPROVEN
    return Judgement.UNPROVEN if proof.lacks and found is Judgement.PROVEN_WITHIN else found


def _why(proof: Proof, epsilon: Epsilon | None) -> str | None:
    if epsilon is None and proof.liars and not proof.liars.consistent:
        return "the evidence contradicts itself: see inconsistent"
    if epsilon is None:
        return "no node told what its wall clock did"
    return None if epsilon.unproven is None else _missing(proof, epsilon.unproven)


def _missing(proof: Proof, unproven: Unproven) -> str:
    names = proof.cluster.names
    reason, a, b = unproven.reason, unproven.a, unproven.b
    if reason is Reason.NO_PATH and a is not None and b is not None:
        without = f" but through {' and '.join(names[each] for each in unproven.removed)}"
        return (
            f"nothing connects {names[a]} with {names[b]}{without if unproven.removed else ''}: "
            "neither exchanges nor bounds of UTC"
        )
    if reason is Reason.INCONSISTENT:
        return "the evidence contradicts itself: see inconsistent"
    if reason is Reason.MORE_THAN_K:
        return "the evidence contradicts itself whichever nodes, up to k, are held to be wrong"
    if reason is Reason.TOO_LARGE:
        return "the cluster is too large to try the removal of every two nodes"
    if reason is Reason.NO_PAIR:
        return "there are no two nodes that can both be right"
    return f"nothing is known of the wall clock of {names[a]}" if a is not None else reason.value


def _node(proof: Proof, node: int) -> Document:
    """Bounds of UTC − wall of a node, and who proves them: its own servers, its peers, or both."""
    plain, robust = proof.all_true, proof.robust
    assert robust is not None
    edges = proof.aged
    own = (edges.kind == Kind.BOUND) & ((edges.tail == node) | (edges.head == node))
    lower_s, upper_s = None, None
    if plain is not None:
        lower_s, upper_s = (_negated(each, node) for each in (plain.utc_upper_s, plain.utc_lower_s))
    lower_k_s, upper_k_s = (_negated(each, node) for each in (robust.utc_upper_s, robust.utc_lower_s))
    by = None
    if lower_s is None and lower_k_s is not None:
        by = "ntp_and_peers" if own.any() else "peers"
    elif lower_s is not None and upper_s is not None:
        by = "peers"
        if own.any():
            own_s = float(edges.weight_s[own].sum())
            width_s = own_s + float(proof.wall_upper_s[node] - proof.wall_lower_s[node])
            by = "ntp" if upper_s - lower_s >= width_s - 1e-9 else "ntp_and_peers"
    return {
        "node": proof.cluster.names[node],
        "utc_lower_s": lower_s,
        "utc_upper_s": upper_s,
        "utc_lower_k_s": lower_k_s,
        "utc_upper_k_s": upper_k_s,
        "utc_by": by,
        "wall_width_s": float(proof.wall_upper_s[node] - proof.wall_lower_s[node]),
    }


def _negated(of: Floats, node: int) -> float | None:
    """A bound of W − UTC as one of UTC − W."""
    return number(-of[node])


def _left_out(proof: Proof, node: int, lack: Lack, as_of_ns: int) -> Document:
    heard_ns, told_ns = int(proof.cluster.heard_ns[node]), int(proof.cluster.told_ns[node])
    heard_s = max(0.0, (as_of_ns - heard_ns) / NS) if heard_ns else None
    told_s = max(0.0, (as_of_ns - told_ns) / NS) if told_ns else None
    return {
        "node": proof.cluster.names[node],
        "why": lack.value,
        "missing": _LACKS[lack]
        if heard_ns
        else "nothing that it sent is of this time: only its peers' probes tell of it",
        "last_heard_s": heard_s,
        "last_told_s": told_s,
    }


_LACKS = {
    Lack.SILENT: "it is silent: it has not told lately what its wall clock does",
    Lack.NO_WALL: "it does not tell what its wall clock does since its steady clock began",
    Lack.BEHIND: "what it sends arrives much later than that of the others",
    Lack.APART: "neither exchanges nor bounds of UTC connect it with those that say when the instant is",
    Lack.NO_PLACE: "it is not known well enough when the instant was by its steady clock",
    Lack.CONTRADICTED: "it contradicts others, and is or may be the one that is wrong",
    Lack.NOT_WATCHED: "its wall clock was not watched at the instant: the agent or its epoch began later",
}


def _inconsistent(proof: Proof, evidence: Evidence) -> Document:
    """Who contradicts whom, with the samples that cannot all be true."""
    names = proof.cluster.names
    liars = proof.liars
    if liars is None or liars.cycle is None:
        return {
            "certain": [],
            "one_of": [],
            "suspects": [],
            "more_than_k": False,
            "cycle": [],
            "excess_s": None,
            "evidence": [],
        }
    return {
        "certain": _named(names, liars.certain),
        "one_of": _named(names, liars.one_of),
        "suspects": [names[each] for each in liars.suspects],
        "more_than_k": liars.more_than_k,
        "cycle": [names[each] for each in liars.cycle.nodes],
        "excess_s": liars.cycle.excess_s,
        "evidence": [_constraint(proof, evidence, each) for each in liars.cycle.constraints],
    }


def _named(names: tuple[str, ...], nodes: Iterable[int]) -> list[str]:
    return sorted(names[each] for each in nodes)


def _constraint(proof: Proof, evidence: Evidence, index: int) -> Document:
    """A constraint of the cycle: ``to`` − ``from`` is at most ``at_most_s``, by S of nodes and by UTC."""
    edges, names, offset_s = proof.accused_by, proof.cluster.names, proof.places_then.offset_s
    tail, head, row = int(edges.tail[index]), int(edges.head[index]), int(edges.row[index])
    exchange = edges.kind[index] == Kind.EXCHANGE
    columns = evidence.exchanges if exchange else evidence.bounds
    shift_s = 0.0 if exchange else float(columns.fields["wall_minus_steady_seconds"][row])
    return {
        "from": names[tail],
        "to": names[head],
        # S of a node less UTC, without the offset that was added for the sums.
        "at_most_s": float(edges.weight_s[index] + offset_s[tail] - offset_s[head]),
        "by": "exchange" if exchange else "ntp",
        "node": columns.tags["node"][row],
        "peer": columns.tags["peer"][row] if exchange else None,
        "at": iso(int(columns.time_ns[row])),
        "lower_s": number(columns.fields["lower_seconds"][row] + shift_s),
        "upper_s": number(columns.fields["upper_seconds"][row] + shift_s),
        "rtt_s": number(columns.fields["rtt_seconds"][row]) if exchange else None,
        "aged_s": float(edges.widened_s[index]),
    }
