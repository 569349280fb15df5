"""Makes allantools_table.json, what allantools 2024.06 says of NIST's 1000-point test set.

It is not a dependency of the tests: it drags in 36 packages (Sphinx, matplotlib). In an environment of its
own, in this folder: pip install allantools==2024.6 && python allantools_table.py > allantools_table.json
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np

FACTORS = [1, 2, 3, 6, 12, 30, 60, 120, 180]
# (clock errors, averaging factor), where allantools computes directly: elsewhere it approximates.
SIZES = [(31, 1), (1001, 1), (1001, 10), (1001, 30), (8641, 12)]


def nist_1000() -> np.ndarray:
    """Clock errors of the test set of NIST SP 1065, 12.4: the sum of a portable generator's numbers."""
    numbers = [1_234_567_890]
    for _ in range(999):
        numbers.append(16_807 * numbers[-1] % 2_147_483_647)
    return np.concatenate([[0.0], np.cumsum(np.array(numbers) / 2_147_483_647)])


def main() -> None:
    """Print the table."""
    allantools: Any = importlib.import_module("allantools")
    table: dict[str, object] = {}
    for name, of in (("adev", allantools.oadev), ("tdev", allantools.tdev), ("mtie", allantools.mtie)):
        taus, values, _, counts = of(nist_1000(), rate=1.0, data_type="phase", taus=FACTORS)
        table[name] = [
            [int(tau), float(value), int(count)]
            for tau, value, count in zip(taus, values, counts, strict=True)
        ]
    table["edf"] = [
        [
            points,
            m,
            noise,
            modified,
            float(
                allantools.edf_greenhall(alpha=noise, d=2, m=m, N=points, overlapping=True, modified=modified)
            ),
        ]
        for points, m in SIZES
        for noise in (2, 1, 0, -1, -2)
        for modified in (False, True)
    ]
    json.dump(table, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
