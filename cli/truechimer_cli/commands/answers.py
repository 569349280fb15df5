"""The answering commands: clocks, skew, rtt, pauses, stability, timeouts."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import click

from truechimer.errors import UserError
from truechimer_cli.asking import Document, ask
from truechimer_cli.files import InputFile, asking_files, summary
from truechimer_cli.main import as_sentences
from truechimer_cli.output import show, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

REFRESH_S = 2.0
SHORTEST_S = 0.1
_SHARED = (
    click.option(
        "--store", metavar="ADDRESS", help="http://HOST:8723 or embedded:DIR. [default: the nearest]"
    ),
    click.option("--since", metavar="1h", help="Look back this far from now."),
    click.option("--from", "from_", metavar="TIME", help="Start: ISO 8601 or Unix seconds."),
    click.option("--to", metavar="TIME", help="End: ISO 8601 or Unix seconds."),
    click.option("--cluster", help="Only this cluster."),
    click.option("--node", help="Only this node."),
    click.option("--json", "as_json", is_flag=True, help="One JSON document; seconds, null for unknown."),
    click.option("--check", is_flag=True, help="Exit code 1 when the answer is bad news."),
)


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every answering command has; the function gets them as ``query`` and flags."""

    @functools.wraps(function)
    def wrapped(**options: Any) -> Any:  # noqa: ANN401 - click's
        if options.get("since") and (options.get("from_") or options.get("to")):
            raise UserError("--since goes without --from and --to")
        shared = {name: options.pop(name) for name in ("since", "cluster", "node", "to")}
        shared["from"] = options.pop("from_")
        return function(query={name: value for name, value in shared.items() if value is not None}, **options)

    for option in reversed(_SHARED):
        wrapped = option(wrapped)
    return wrapped


_watching = click.option(
    "--watch",
    "every_s",
    is_flag=False,
    flag_value=REFRESH_S,
    type=click.FloatRange(min=SHORTEST_S),
    metavar="[SECONDS]",
    help=f"Ask again every so many seconds ({REFRESH_S:g}) until Ctrl-C; with --json a document a line.",
)


@click.command()
@answering
@_watching
def clocks(
    query: dict[str, str], store: str | None, *, as_json: bool, check: bool, every_s: float | None
) -> int:
    """How wrong each clock can be, and which nodes drift, step or have no majority.

    An interval contains UTC - wall for certain under the stated assumptions. --check: exit code 1 when a
    node's state is not ok or it is not proven within its limits.

    Example: truechimer clocks --node db-1 --since 6h --watch
    """
    from truechimer_cli.tables.clocks import tables

    if every_s is not None:
        return _watched("clocks", query, store, tables, every_s, as_json=as_json, check=check)
    return _answer(ask("clocks", query, store), tables, "nodes", as_json=as_json, bad=check and _clock_is_bad)


@click.command()
@answering
@click.option("--max-offset", metavar="500ms", help="Judge against this. [default: limits.max_skew_s]")
@click.option("--k", metavar="N", help="How many nodes may be wrong unnoticed, 0 to 2. [default: 1]")
@click.option("--pairs", metavar="N", help="List so many pairs, the worst first. [default: 200]")
@_watching
def skew(
    query: dict[str, str],
    store: str | None,
    *,
    as_json: bool,
    check: bool,
    every_s: float | None,
    **asked: str | None,
) -> int:
    """How far apart any two nodes' wall clocks can be, proven from packets between them.

    Two figures: when all evidence is true, and whichever N nodes are wrong without being found out (--k);
    the judgement goes by the latter. Evidence that contradicts itself is shown, and who must or may be wrong.
    --check: exit code 1 when not proven within the maximum offset, or when evidence contradicts itself.

    Example: truechimer skew --max-offset 500ms --check
    """
    from truechimer_cli.tables.skew import tables

    query |= {name: value for name, value in asked.items() if value is not None}
    if every_s is not None:
        return _watched("skew", query, store, tables, every_s, as_json=as_json, check=check)
    document = ask("skew", query, store)
    return _answer(document, tables, "clusters", as_json=as_json, bad=check and _skew_is_bad)


@click.command()
@answering
@asking_files("rtt")
@click.option("--by", metavar="hour", help="Also the figures of each hour (UTC).")
@click.option("--via", metavar="KIND", help="Only probes of this kind: stamp, icmp, tcp, kernel.")
@click.option("--peer", help="Only paths to this peer.")
@click.option("--histogram", is_flag=True, help="With --json: the curve of exceedance of each path.")
def rtt(
    query: dict[str, str],
    store: str | InputFile | None,
    *,
    as_json: bool,
    check: bool,
    histogram: bool,
    **chosen: str | None,
) -> int:
    """How long the network delays: percentiles, losses by direction and refusals of every path.

    --check: exit code 1 when a path answered nothing.

    Example: truechimer rtt --since 24h --peer db-2 --by hour
    """
    from truechimer_cli.tables.delays import rtt_tables

    query |= {name: value for name, value in chosen.items() if value is not None}
    if histogram:
        query["histogram"] = "1"
    return _answer(
        ask("rtt", query, store), rtt_tables, "paths", as_json=as_json, bad=check and _path_is_dead
    )


@click.command()
@answering
@asking_files("pauses")
@click.option("--source", metavar="NAME", help="Only this source: host, or a watched process.")
@click.option("--stay", metavar="1s", help="How long a request stays, for what it feels. [default: 1s]")
@click.option("--heartbeat", metavar="1s", help="How often a heartbeat is sent. [default: 1s]")
def pauses(
    query: dict[str, str],
    store: str | InputFile | None,
    *,
    as_json: bool,
    check: bool,  # noqa: ARG001 - a finding, no verdict
    **chosen: str | None,
) -> int:
    """How long hosts and processes stop, why, how long somebody looked, and what others feel of it.

    A source whose observation stopped is unknown, not healthy; of one that was never watched no rate is
    told, and when that is all of them the exit code is 4. Pauses are findings, not faults: --check never
    makes this exit with 1.

    Example: truechimer pauses --node db-1 --source cassandra --heartbeat 500ms
    """
    from truechimer_cli.tables.pauses import pause_tables

    query |= {name: value for name, value in chosen.items() if value is not None}
    document = ask("pauses", query, store)
    parts = [part for part in ("sources", "processes", "heaps", "disks") if document.get(part)]
    code = _answer(document, pause_tables, (parts or ["sources"])[0], as_json=as_json, bad=False)
    sources = document.get("sources") or []
    if parts == ["sources"] and all(source.get("refused") for source in sources):
        _too_little_because(str(sources[0]["refused"].get("reason")))
        return 4
    return code


@click.command()
@answering
def stability(query: dict[str, str], store: str | None, *, as_json: bool, check: bool) -> int:  # noqa: ARG001
    """How steadily each clock runs: ADEV, TDEV and MTIE over spans of 10 s up to days.

    Of three records: wall - steady (the clock that a daemon steers, against the raw oscillator), UTC - steady
    (the oscillator left alone), UTC - wall (the steered clock against true time). Nothing spans a gap or a
    step. What the evidence is too thin for is left out; exit code 4 when that is all of it. Stability is a
    finding, not a fault: --check never makes this exit with 1.

    Example: truechimer stability --node db-1 --since 24h
    """
    from truechimer_cli.tables.stability import tables

    document = ask("stability", query, store)
    code = _answer(document, tables, "nodes", as_json=as_json, bad=False)
    records = [record for node in document.get("nodes") or [] for record in node.get("series") or []]
    if code == 0 and all(record.get("refused") for record in records):
        _too_little_of(records)
        return 4
    return code


@click.command()
@answering
@asking_files("rtt")
@click.option(
    "--product",
    "products",
    multiple=True,
    metavar="NAME[@VERSION]",
    help="Advice for this product's settings; may be repeated; all for every known one.",
)
@click.option(
    "--current",
    metavar="FILE|-",
    help="Its present configuration: audited, and told apart when no product is.",
)
@click.option("--false-per-month", metavar="N", help="False alarms that are tolerable in 30 days.")
@click.option("--detect-within", metavar="5s", help="How quickly a failure must be noticed.")
@click.option("--rate", metavar="HZ", help="Operations a second. [default: the rate of the evidence]")
@click.option(
    "--heartbeat", metavar="1s", help="How often heartbeats are sent. [default: as often as was probed]"
)
def timeouts(
    query: dict[str, str],
    store: str | InputFile | None,
    *,
    as_json: bool,
    check: bool,
    products: tuple[str, ...],
    current: str | None,
    **asked: str | None,
) -> int:
    """What timeouts should be, by what was measured here, and what they would cost in false alarms.

    What the evidence does not reach is refused, and says how much longer to measure. Exit code 4 when
    all of it is refused. --check: exit code 1 when settings that are advised, or that --current gave,
    violate a product's rule.

    Example: truechimer timeouts --product etcd --current /etc/etcd/etcd.conf.yml --detect-within 5s
    """
    from truechimer_cli.presentsettings import product_options
    from truechimer_cli.tables.timeouts import tables

    query |= {name: value for name, value in asked.items() if value is not None}
    document = ask("timeouts", query | product_options(products, current), store)
    key = "products" if document.get("products") else "uses"
    code = _answer(document, tables, key, as_json=as_json, bad=check and _constraint_is_violated)
    if any(product.get("verdict") != "insufficient_data" for product in document.get("products") or []):
        return code
    # When to hedge promises no few false alarms.
    uses = [use for use in document.get("uses") or [] if use.get("use") != "hedge"]
    if code == 0 and all(use.get("refused") for use in uses):
        needed = [use["refused"].get("needed_s") for use in uses]
        _too_little([n for n in needed if n is not None])
        return 4
    return code


def _watched(
    command: str,
    query: dict[str, str],
    store: str | None,
    tables: Callable[[Document], list[RenderableType]],
    every_s: float,
    *,
    as_json: bool,
    check: bool,
) -> int:
    if check:
        raise UserError("--check goes without --watch: a watch ends with Ctrl-C, not with a verdict")
    from truechimer_cli.watching import watch

    return watch(lambda: ask(command, query, store), tables, every_s, as_json=as_json)


def _answer(
    document: Document,
    tables: Callable[[Document], list[RenderableType]],
    key: str,
    *,
    as_json: bool,
    bad: Callable[[Document], bool] | bool,
) -> int:
    """Print; 4 when the document is empty, 1 when ``bad`` holds."""
    if as_json:
        write_json(document)
    else:
        for told in summary(document["import"]) if "import" in document else ():
            sys.stderr.write(f"truechimer: {told}\n")
        if document.get(key):
            show(*tables(document))
    if not document.get(key):
        _too_little([])
        return 4
    return 1 if callable(bad) and bad(document) else 0


def _too_little(needed_s: list[float]) -> None:
    if needed_s:
        from truechimer_cli.amounts import seconds

        wait = f"measure for about {seconds(min(needed_s))} more, or ask for less"
    else:
        wait = "nothing was measured in this span yet: wait some seconds, or look back further with --since"
    sys.stderr.write(f"truechimer: {as_sentences('too little data to answer', wait)}\n")


def _too_little_of(records: list[Document]) -> None:
    """What the refused records of ``stability`` lack: time, or else what the first says."""
    needed = [n for record in records if (n := record["refused"].get("needed_s")) is not None]
    if needed or not records:
        _too_little(needed)
        return
    _too_little_because(str(records[0]["refused"].get("reason")))


def _too_little_because(why: str) -> None:
    sys.stderr.write(f"truechimer: {as_sentences('too little data to answer', why)}\n")


def _clock_is_bad(document: Document) -> bool:
    return any(
        node.get("state") != "ok" or node.get("judgement") != "proven_within" for node in document["nodes"]
    )


def _skew_is_bad(document: Document) -> bool:
    return any(
        cluster["max_offset"].get("judgement") != "proven_within" or cluster["inconsistent"].get("cycle")
        for cluster in document["clusters"]
    )


def _path_is_dead(document: Document) -> bool:
    return any(path.get("p50_s") is None for path in document["paths"])


def _constraint_is_violated(document: Document) -> bool:
    for product in document.get("products") or []:
        audited = any(setting.get("given") for setting in product.get("settings") or [])
        states = ("advised", "current") if audited else ("advised",)
        for constraint in product.get("constraints") or []:
            if any(constraint.get(state) == "violated" for state in states):
                return True
    return False
