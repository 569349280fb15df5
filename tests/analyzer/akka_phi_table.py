"""Makes akka_phi_table.json: φ by its formula in decimal arithmetic of 60 digits, not in floats.

    python tests/analyzer/akka_phi_table.py

The formula is transcribed from PhiAccrualFailureDetector.scala (2.5, ``phi(timeDiff, mean, stdDeviation)``);
``reaches`` are the milliseconds at which φ first is not below the threshold, by bisection of the decimals.
"""

import json
from decimal import Decimal, getcontext
from pathlib import Path

getcontext().prec = 60
TABLE = Path(__file__).with_suffix(".json")


def phi(since: Decimal, mean: Decimal, deviation: Decimal) -> Decimal:
    y = (since - mean) / deviation
    e = (-y * (Decimal("1.5976") + Decimal("0.070566") * y * y)).exp()
    if since > mean:
        return -(e / (1 + e)).log10()
    return -(1 - 1 / (1 + e)).log10()


def reaches(threshold: Decimal, mean: Decimal, deviation: Decimal) -> Decimal:
    low, high = mean - 100 * deviation, mean + 100 * deviation
    for _ in range(170):
        middle = (low + high) / 2
        low, high = (low, middle) if phi(middle, mean, deviation) >= threshold else (middle, high)
    return high


def main() -> None:
    values = [
        [since, mean, deviation, f"{phi(Decimal(since), Decimal(mean), Decimal(deviation)):.25e}"]
        for mean, deviation in ((4000, 100), (4000, 250), (1000, 100), (1200, 3))
        for since in (0, 900, 1000, 1001, 1100, 1203, 1230, 3800, 4000, 4001, 4100, 4500, 4522, 4523, 5000)
        # Beyond 20 deviations φ is beyond what double precision can hold.
        if -20 <= (since - mean) / deviation <= 20
    ]
    thresholds = [
        [threshold, mean, deviation, f"{reaches(Decimal(threshold), Decimal(mean), Decimal(deviation)):.25e}"]
        for threshold in ("0.1", "0.3", "1", "3", "8", "10", "12", "16")
        for mean, deviation in ((4000, 100), (11000, 100), (1000, 250))
    ]
    TABLE.write_text(json.dumps({"phi": values, "reaches": thresholds}, indent=0) + "\n")


if __name__ == "__main__":
    main()
