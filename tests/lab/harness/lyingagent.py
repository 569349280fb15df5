"""An agent whose reflector lies: its STAMP answers' T2 and T3 are off, and everything else of it is honest.

`python -P lyingagent.py run --config FILE` is `python -m truechimer_agent run --config FILE` with what puts
T2 and T3 into a reply wrapped. How much it lies, and to whom, stands in a mapped file.
"""

import hashlib
import mmap
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FACES = 16
_CELLS = 2 + 2 * FACES
_SIZE = 8 * _CELLS


def node_id(cluster: str, node: str) -> int:
    """The number by which a STAMP sender calls itself, as a signed cell."""
    digest = hashlib.blake2b(f"{cluster}\0{node}".encode(), digest_size=8).digest()
    return int(struct.unpack("=q", digest)[0])


def lie_ns(cells: "memoryview[int]", sender_id: bytes | None) -> int:
    """What a file's cells say to the sender: the lie told to it alone, else the one told to all."""
    if sender_id is not None and cells[1]:
        (wanted,) = struct.unpack("=q", sender_id)
        for face in range(cells[1]):
            if cells[2 + 2 * face] == wanted:
                return cells[3 + 2 * face]
    return cells[0]


class Lie:
    """The file that steers one liar: cells of 8 bytes, each store one instruction. Honest at first."""

    def __init__(self, file: Path, cluster: str) -> None:
        self.env = {"LYING_AGENT_FILE": str(file)}
        self._cluster = cluster
        file.write_bytes(bytes(_SIZE))
        self._map, self._cells = _mapped(file, writable=True)

    def tell(self, ns: int) -> None:
        """Be ahead by `ns` to everybody; 0: be honest."""
        self._cells[1] = 0
        self._cells[0] = ns

    def tell_each(self, faces: Mapping[str, int]) -> None:
        """Be ahead by so many ns to each node named, and honest to the others."""
        self.tell(0)
        for number, (name, ns) in enumerate(faces.items()):
            self._cells[2 + 2 * number] = node_id(self._cluster, name)
            self._cells[3 + 2 * number] = ns
        self._cells[1] = len(faces)

    def close(self) -> None:
        """Unmap the file; a running liar goes on as it was told last."""
        self._cells.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _mapped(file: Path, *, writable: bool) -> tuple[mmap.mmap, "memoryview[int]"]:
    descriptor = os.open(file, os.O_RDWR if writable else os.O_RDONLY)
    try:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        mapped = mmap.mmap(descriptor, _SIZE, access=access)
    finally:
        os.close(descriptor)
    return mapped, memoryview(mapped).cast("q")


def main() -> int:
    """Run the agent of this command line, its reflector wrapped."""
    from truechimer_agent.__main__ import main as run
    from truechimer_agent.stamp.reflector import Reflector

    _, cells = _mapped(Path(os.environ["LYING_AGENT_FILE"]), writable=False)
    prepare, finish = Reflector.prepare, Reflector.finish
    told = [0]  # the lie of the reply that is being made: one thread makes them one by one

    def lying_prepare(
        self: Reflector, data: Any, accepted: Any, received_ns: int, ttl: int, epoch: int
    ) -> bytearray:
        told[0] = lie_ns(cells, accepted.request.sender_id)
        return prepare(self, data, accepted, received_ns + told[0], ttl, epoch)

    def lying_finish(self: Reflector, reply: bytearray, transmitted_ns: int) -> None:
        finish(self, reply, transmitted_ns + told[0])

    Reflector.prepare = lying_prepare  # type: ignore[method-assign]
    Reflector.finish = lying_finish  # type: ignore[method-assign]
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
