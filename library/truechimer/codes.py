"""Codes and names of what is measured and judged: outcomes, verdicts, reasons, causes, flags.

Codes that are stored are integers whose numbers are append-only; names that are tags are words.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class NtpOutcome(IntEnum):
    """What became of one NTP exchange."""

    REPLY = 0
    LOST = 1
    REFUSED = 2
    HOST_UNREACHABLE = 3
    NET_UNREACHABLE = 4
    BAD_REPLY = 5
    UNRESOLVED = 6
    OWN_STALL = 7
    NOT_PERMITTED = 8


class ServerVerdict(IntEnum):
    """What the majority makes of one NTP server."""

    UNUSABLE = 0
    SELECTED = 1
    FALSETICKER = 2
    CONTESTED = 3


class ServerReason(IntEnum):
    """Why a server is not selected, or why a reply does not count."""

    NONE = 0
    UNREACHABLE = 1
    UNSYNCHRONISED = 2
    KISS_RATE = 3
    KISS_DENY = 4
    BOGUS_ORIGIN = 5
    BOGUS_MODE = 6
    BOGUS_VERSION = 7
    BOGUS_TIMES = 8
    NEGATIVE_DELAY = 9
    ROOT_DISTANCE_TOO_LARGE = 10
    STALE = 11
    INCONSISTENT_WITH_ITSELF = 12
    NO_MAJORITY = 13
    FALSETICKER = 14
    CONTESTED = 15
    TRUNCATED = 16
    KISS_OTHER = 17
    UNRESOLVED = 18
    SMEARING = 19


class BoundStatus(IntEnum):
    """How far the published interval can be trusted."""

    UNKNOWN = 0
    SYNCHRONIZED = 1
    HOLDOVER = 2
    DISRUPTED = 3


class BoundReason(IntEnum):
    """Why a bound is not (or only just) synchronized."""

    NONE = 0
    NO_SERVERS = 1
    NO_REPLY = 2
    NO_MAJORITY = 3
    SOURCES_BLOCKED = 4
    DISRUPTED = 5
    SINGLE_SERVER = 6
    STARTING = 7
    LEAP = 8
    CHECKING = 9
    NO_REDUNDANCY = 10


class ProbeOutcome(IntEnum):
    """What became of one probe of a peer; silence, refusal and unreachability are different facts."""

    REPLY = 0
    LOST = 1
    REFUSED = 2
    HOST_UNREACHABLE = 3
    NET_UNREACHABLE = 4
    BAD_REPLY = 5
    OWN_STALL = 6
    UNRESOLVED = 7
    NOT_PERMITTED = 8


class FsyncOutcome(IntEnum):
    """What became of one write + fsync; one that hangs is told again and again until it ends."""

    DONE = 0
    FAILED = 1
    HUNG = 2


class Leap(IntEnum):
    """NTP's leap indicator (RFC 5905 figure 9)."""

    NONE = 0
    INSERT = 1
    DELETE = 2
    UNSYNCHRONISED = 3


class EventKind(StrEnum):
    """What happened to a host's clock (tag ``kind``)."""

    STEP = "step"
    SLEW = "slew"
    SUSPEND = "suspend"
    LEAP = "leap"
    CLOCKSOURCE = "clocksource"
    VM_RESTORE = "vm_restore"
    AGENT_START = "agent_start"


class Via(StrEnum):
    """How a round trip was measured (tag ``via``)."""

    STAMP = "stamp"
    ICMP = "icmp"
    TCP = "tcp"
    KERNEL = "kernel"


class Cause(StrEnum):
    """Why something stopped (tag ``cause``)."""

    RUN_QUEUE = "run_queue"
    THROTTLED = "throttled"
    STEAL = "steal"
    STOPPED = "stopped"
    FROZEN = "frozen"
    SUSPEND = "suspend"
    VM_PAUSE = "vm_pause"
    MEMORY = "memory"
    IO = "io"
    GC = "gc"
    SAFEPOINT = "safepoint"
    UNKNOWN = "unknown"


class State(StrEnum):
    """A node's state; listed from the worst to the best, a node shows the first that applies."""

    STALE = "stale"
    DISRUPTED = "disrupted"
    NO_MAJORITY = "no_majority"
    SOURCES_BLOCKED = "sources_blocked"
    UNSYNCHRONISED = "unsynchronised"
    INCONSISTENT = "inconsistent"
    OFFSET = "offset"
    STEPPED = "stepped"
    DRIFTING = "drifting"
    OK = "ok"


class Flag(StrEnum):
    """What can be held against a node: its states, and findings that do not change the state."""

    STALE = "stale"
    DISRUPTED = "disrupted"
    NO_MAJORITY = "no_majority"
    SOURCES_BLOCKED = "sources_blocked"
    UNSYNCHRONISED = "unsynchronised"
    INCONSISTENT = "inconsistent"
    OFFSET = "offset"
    STEPPED = "stepped"
    DRIFTING = "drifting"
    FALSETICKER_IN_USE = "falseticker_in_use"
    LEAP_MISMATCH = "leap_mismatch"
    DAEMON_DISAGREES = "daemon_disagrees"
    OSCILLATOR_OUT_OF_SPEC = "oscillator_out_of_spec"


class Judgement(StrEnum):
    """Three-valued: unknown is not healthy."""

    PROVEN_WITHIN = "proven_within"
    UNPROVEN = "unproven"
    PROVEN_BEYOND = "proven_beyond"
