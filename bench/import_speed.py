"""How long a file of 100,000 lines of ping takes to be asked: ``python bench/import_speed.py [LINES]``.

Prints the seconds of the whole process, and the CPU time of its parts.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_ping(path: Path, lines: int) -> None:
    """Ping -D at 5 Hz, one in a thousand lost."""
    rng = random.Random(1)
    with path.open("w") as file:
        file.write("PING db-2 (10.0.0.2) 56(84) bytes of data.\n")
        for n in range(1, lines + 1):
            if rng.random() >= 1e-3:
                took = rng.expovariate(1.0) + 0.2
                stamp = 1_795_377_600 + n * 0.2
                file.write(
                    f"[{stamp:.6f}] 64 bytes from 10.0.0.2: icmp_seq={n % 65536} ttl=64 time={took:.3f} ms\n"
                )


def parts(path: Path) -> None:
    """CPU time of what one command does, in its order."""
    begun_s = time.process_time()

    def lap(name: str) -> None:
        nonlocal begun_s
        now_s = time.process_time()
        print(f"{name:>24} {now_s - begun_s:6.2f} s CPU")
        begun_s = now_s

    import truechimer_cli.commands.answers  # noqa: F401

    lap("import the command")
    from truechimer_analyzer.importing.asking import Wish
    from truechimer_analyzer.importing.columns import columns
    from truechimer_analyzer.importing.lines import blocks_of
    from truechimer_analyzer.importing.placing import Tally, placed

    lap("import the parsers")
    wish, tally = Wish("ping"), Tally()
    with blocks_of(path) as blocks:
        kept = columns(placed(wish.parse(blocks), tally), wish.labels())
    lap("parse")
    from truechimer_analyzer.answers import answer
    from truechimer_analyzer.stores.inmemory import InMemoryStore

    lap("import the answers")
    store = InMemoryStore(kept, int(kept[0].time_ns.max()) + 1_000_000)
    answer("timeouts", {"since": "30d", "false_per_month": "1000"}, store)
    lap("answer")


def main(lines: int) -> None:
    """The whole process thrice, then its parts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ping.txt"
        write_ping(path, lines)
        words = ["timeouts", "--input", str(path), "--format", "ping", "--false-per-month", "1000", "--json"]
        for _ in range(3):
            begun_s = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "truechimer_cli", *words], check=True, stdout=subprocess.DEVNULL
            )
            print(f"{lines} lines: {time.perf_counter() - begun_s:.2f} s")
        parts(path)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
