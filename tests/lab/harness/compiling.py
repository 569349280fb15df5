"""The lab's small C programs, compiled when they are needed."""

import atexit
import subprocess
import tempfile
from functools import cache
from pathlib import Path

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")


def compile_c(source: Path, target: Path, *flags: str) -> Path:
    """Compile `source` with gcc into `target` and return that (RuntimeError with gcc's words)."""
    done = subprocess.run(
        ["gcc", *FLAGS, "-o", str(target), str(source), *flags], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"gcc {source.name}: {done.stderr}")
    return target


@cache
def program(name: str, *flags: str) -> Path:
    """The program of harness/NAME.c, compiled once a run into a folder that goes with it."""
    folder = tempfile.TemporaryDirectory(prefix="tc-lab-")
    atexit.register(folder.cleanup)
    return compile_c(Path(__file__).with_name(f"{name}.c"), Path(folder.name) / name, *flags)
