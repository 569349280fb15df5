"""Documents of a mesh: what is proven between its nodes, and what lies between them."""

import random
from typing import Any

from browser import fleets


def stamped(
    name: str, peer: str, base_s: float, *, there: int = 0, back: int = 0, undetermined: int = 0
) -> fleets.Document:
    """One path of the mesh, with its losses by direction."""
    lost = there + back + undetermined
    sent = 3600
    return {
        **fleets.path(name, peer, base_s, lost),
        "cluster": "prod",
        "via": "stamp",
        "dscp": 0,
        "count": sent,
        "replies": sent - lost,
        "lost": lost,
        "loss_ratio": lost / sent,
        "loss_upper": (lost + 3) / sent,
        "sent": sent,
        "received": sent - lost,
        "lost_forward": there,
        "lost_backward": back,
        "lost_undetermined": undetermined,
        "lost_unknown": 0,
        "loss_forward_ratio": there / sent,
        "loss_forward_upper": (there + undetermined + 3) / sent,
        "loss_backward_ratio": back / (sent - there),
        "loss_backward_upper": (back + undetermined + 3) / (sent - there),
        "reordered": 0,
        "duplicated": 0,
        "hours": [hour(i, base_s, lost if i == 20 else 0) for i in (17, 19, 20)],
    }


def hour(of_day: int, base_s: float, lost: int = 0) -> fleets.Document:
    """One hour of a path."""
    return {
        "from": f"2026-11-22T{of_day:02}:00:00.000000Z",
        "count": 3600,
        "replies": 3600 - lost,
        "lost": lost,
        "lost_forward": lost,
        "lost_backward": 0,
        "loss_upper": (lost + 3) / 3600,
        "p50_s": base_s,
        "p99_s": base_s * 2,
        "max_s": base_s * (3 + of_day),
    }


def cluster_skew(bounds_s: dict[str, tuple[float, float] | None], **changes: Any) -> fleets.Document:
    """One cluster: nodes whose wall clocks are within these bounds of UTC (None: of nobody's)."""
    names = sorted(bounds_s)
    pairs: list[fleets.Document] = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            of_a, of_b = bounds_s[a], bounds_s[b]
            known = of_a is not None and of_b is not None
            lower = of_b[0] - of_a[1] if of_a and of_b else None
            upper = of_b[1] - of_a[0] if of_a and of_b else None
            pairs.append(
                {
                    "a": a,
                    "b": b,
                    "lower_s": lower,
                    "upper_s": upper,
                    "lower_k_s": lower * 2 if lower is not None else None,
                    "upper_k_s": upper * 2 if known and upper is not None else None,
                }
            )
    sizes = {(p["a"], p["b"]): max(-p["lower_s"], p["upper_s"]) for p in pairs if p["lower_s"] is not None}
    whole = len(sizes) == len(pairs) > 0
    worst = max(sizes, key=lambda pair: sizes[pair]) if sizes else None
    epsilon = sizes[worst] if worst and whole else None
    return {
        "cluster": "prod",
        "at": fleets.AS_OF,
        "epsilon_s": epsilon,
        "epsilon_k_s": epsilon * 2 if epsilon is not None else None,
        "k": 1,
        "worst_pair": list(worst) if worst and whole else None,
        "commit_wait_s": epsilon,
        "lww_gap_s": epsilon,
        "why_unproven": None if whole else "nothing connects them: neither exchanges nor bounds of UTC",
        "pairs": [pair for pair in pairs if pair["lower_s"] is not None],
        "unproven": [
            {"a": pair["a"], "b": pair["b"], "missing": "nothing connects them"}
            for pair in pairs
            if pair["lower_s"] is None
        ],
        "nodes": [{"node": name} for name in names],
        "left_out": [],
        "inconsistent": {"certain": [], "one_of": [], "suspects": [], "cycle": [], "excess_s": None},
        "max_offset": {"configured_s": 0.5, "judgement": "proven_within" if whole else "unproven"},
        **changes,
    }


def mesh(size: int = 5, **changes: Any) -> fleets.Fleet:
    """A cluster of so many nodes, each probing all others; its last node loses probes that are sent to it."""
    rng = random.Random(size)
    names = [f"db-{i}" for i in range(1, size + 1)]
    bounds = {name: (-rng.uniform(1e-4, 4e-4), rng.uniform(1e-4, 5e-4)) for name in names}
    paths = [
        stamped(a, b, 3e-4 * (1 + rng.random()), there=36 if b == names[-1] else 0)
        for a in names
        for b in names
        if a != b
    ]
    if size > 20:
        paths = [
            {name: value for name, value in one.items() if name not in {"curve", "hours"}} for one in paths
        ]
    fleet = fleets.one_host()
    fleet.documents["clocks"] = fleets.clocks(*(fleets.node(name, *bounds[name]) for name in names))
    fleet.documents["rtt"] = {"paths": paths}
    fleet.documents["pauses"] = {"sources": [fleets.source(name) for name in names]}
    fleet.documents["stability"] = fleets.stability(*names)
    fleet.documents["skew"] = fleets.skew(cluster_skew(dict(bounds), **changes))
    return fleet
