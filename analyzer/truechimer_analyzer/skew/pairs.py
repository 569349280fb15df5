"""The pairs of a cluster as the document of ``truechimer skew`` lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.window import number

if TYPE_CHECKING:
    from truechimer_analyzer.skew.constraints import Floats, Indexes
    from truechimer_analyzer.skew.epsilon import Epsilon
    from truechimer_analyzer.skew.proving import Proof

PAIRS_SHOWN = 200
"""The worst; unless told otherwise."""
_EXTREMES = 20
"""Where pairs are only known through UTC: those of so many nodes at either end are shown."""
Document = dict[str, object]


def pairs_of(proof: Proof, within: int | None, shown: int) -> tuple[list[Document], int, list[Document], int]:
    """Pairs that are proven, the worst first, of how many; and those that are not."""
    plain, robust = proof.all_true, proof.robust
    if robust is None:
        return [], 0, [], 0
    names, members = proof.cluster.names, np.array(proof.members, dtype=np.intp)
    if within is not None:
        a, b = np.full(len(members), within, dtype=np.intp), members
        a, b = a[members != within], b[members != within]
        a, b = (a, b) if within in proof.members else (a[:0], b[:0])
        a, b = np.minimum(a, b), np.maximum(a, b)
        total = len(a)
    elif len(members) <= 2 * _EXTREMES or any(
        each and each.pairs_upper_s is not None for each in (plain, robust)
    ):
        first, second = np.triu_indices(len(members), 1)
        a, b = members[first], members[second]
        total = len(a)
    else:
        chosen = _extremes(plain or robust, members)
        first, second = np.triu_indices(len(chosen), 1)
        a, b = chosen[first], chosen[second]
        total = len(members) * (len(members) - 1) // 2
    bounds = np.stack((*_between(plain, a, b), *_between(robust, a, b)))
    bounds[~np.isfinite(bounds)] = np.nan
    proven = np.isfinite(bounds[:2]).all(axis=0) | np.isfinite(bounds[2:]).all(axis=0)
    worst_s = np.nan_to_num(np.abs(bounds)).max(axis=0)
    order = np.flatnonzero(proven)
    order = order[np.argsort(-worst_s[order], kind="stable")]
    missing = np.flatnonzero(~proven)
    return (
        [
            {
                "a": names[a[each]],
                "b": names[b[each]],
                **{
                    name: number(value)
                    for name, value in zip(
                        ("lower_s", "upper_s", "lower_k_s", "upper_k_s"), bounds[:, each], strict=True
                    )
                },
            }
            for each in order[:shown].tolist()
        ],
        total - len(missing),
        [
            {
                "a": names[a[each]],
                "b": names[b[each]],
                "missing": _pair_lacks(proof, int(a[each]), int(b[each])),
            }
            for each in missing[:shown].tolist()
        ],
        len(missing),
    )


def _extremes(epsilon: Epsilon, members: Indexes) -> Indexes:
    """The members that may be furthest ahead and furthest behind."""
    ahead = members[np.argsort(-np.nan_to_num(epsilon.utc_upper_s[members], nan=np.inf), kind="stable")]
    late = members[np.argsort(np.nan_to_num(epsilon.utc_lower_s[members], nan=-np.inf), kind="stable")]
    return np.unique(np.concatenate((ahead[:_EXTREMES], late[:_EXTREMES])))


def _between(epsilon: Epsilon | None, a: Indexes, b: Indexes) -> tuple[Floats, Floats]:
    """Bounds of W_b − W_a."""
    if epsilon is None:
        return np.full(len(a), np.nan), np.full(len(a), np.nan)
    upper_s = epsilon.pairs_upper_s
    if upper_s is not None:
        return -upper_s[b, a], upper_s[a, b]
    return (
        epsilon.utc_lower_s[b] - epsilon.utc_upper_s[a],
        epsilon.utc_upper_s[b] - epsilon.utc_lower_s[a],
    )


def _pair_lacks(proof: Proof, a: int, b: int) -> str:
    liars, names = proof.liars, proof.cluster.names
    if liars is not None and not liars.consistent:
        if {a, b} & set(liars.certain):
            return "one of them contradicts the others for certain"
        return "the evidence contradicts itself, and without those who may be wrong nothing connects them"
    return f"nothing connects {names[a]} with {names[b]}: neither exchanges nor bounds of UTC"
