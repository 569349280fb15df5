"""Panels of the clocks: the fleet at a glance, then what each host's clock and servers do."""

from __future__ import annotations

from dashboards.panels import Panel, Query, Row
from truechimer.codes import BoundReason, BoundStatus, ServerVerdict

FLEET = Row(
    "Fleet: can the clocks be trusted?",
    (
        Panel(
            "Nodes reporting",
            "Nodes whose agent shipped a bound lately.",
            "none",
            (Query("count(group by (cluster, node) (last_over_time(truechimer_bound_status{HOST}[2m])))"),),
            kind="number",
            width=6,
            height=4,
        ),
        Panel(
            "Not synchronized",
            "Nodes whose bound is unknown, in holdover or disrupted. Unknown is not healthy.",
            "none",
            (
                Query(
                    f"sum(truechimer_bound_status{{HOST}} != bool {BoundStatus.SYNCHRONIZED:d})",
                ),
            ),
            kind="number",
            width=6,
            height=4,
            bad_from=1,
        ),
        Panel(
            "Widest possible error",
            "The greatest |UTC − W| that any node's interval allows.",
            "s",
            (
                Query(
                    "max((truechimer_bound_upper_seconds{HOST} > -truechimer_bound_lower_seconds{HOST}) "
                    "or -truechimer_bound_lower_seconds{HOST})",
                ),
            ),
            kind="number",
            width=6,
            height=4,
        ),
        Panel(
            "Servers outvoted",
            "Servers that a node's majority proves wrong (falsetickers), counted once per node.",
            "none",
            (Query(f"sum(truechimer_ntp_verdict{{HOST}} == bool {ServerVerdict.FALSETICKER:d})"),),
            kind="number",
            width=6,
            height=4,
            bad_from=1,
        ),
        Panel(
            "UTC − W: where true time can be",
            "Each node's interval: true time less its wall clock lies between its two lines.",
            "s",
            (
                Query("truechimer_bound_upper_seconds{HOST}", "{{cluster}}/{{node}} upper"),
                Query("truechimer_bound_lower_seconds{HOST}", "{{cluster}}/{{node}} lower"),
            ),
        ),
        Panel(
            "State of the bound",
            "Why each node's interval is not better than it is.",
            "none",
            (Query("truechimer_bound_reason{HOST}", "{{cluster}}/{{node}}"),),
            kind="states",
            codes=BoundReason,
        ),
    ),
)

CLOCK = Row(
    "Clock",
    (
        Panel(
            "$node: UTC − W",
            "Positive: the wall clock is behind. The band contains the truth under the stated assumptions.",
            "s",
            (
                Query("truechimer_bound_upper_seconds{HOST}", "upper"),
                Query("truechimer_bound_lower_seconds{HOST}", "lower"),
            ),
            per_node=True,
            band=("upper", "lower"),
        ),
        Panel(
            "$node: W − S",
            "What was done to the wall clock, against a clock that nobody steps or slews; least and "
            "greatest.",
            "s",
            (
                Query("truechimer_clock_wall_minus_steady_seconds_max{HOST}", "greatest"),
                Query("truechimer_clock_wall_minus_steady_seconds_min{HOST}", "least"),
            ),
            per_node=True,
            band=("greatest", "least"),
        ),
        Panel(
            "Frequency",
            "Error of the host's oscillator (bounds), the rate at which the kernel slews, the kernel's "
            "correction.",
            "ppm",
            (
                Query("truechimer_bound_frequency_upper_ppm{HOST}", "{{node}} oscillator, upper"),
                Query("truechimer_bound_frequency_lower_ppm{HOST}", "{{node}} oscillator, lower"),
                Query("truechimer_clock_wall_rate_ppm{HOST}", "{{node}} wall clock"),
                Query("truechimer_kernel_frequency_ppm{HOST}", "{{node}} kernel's correction"),
            ),
        ),
        Panel(
            "Steps, suspends and other events",
            "Each change of the wall clock that no slewing explains, with its size.",
            "s",
            (
                Query(
                    "last_over_time(truechimer_clock_event_size_seconds{HOST}[$__interval])",
                    "{{node}} {{kind}}",
                ),
            ),
            kind="points",
        ),
        Panel(
            "Kernel's opinion of its own error",
            "adjtimex's maximum error. It grows by 500 ppm on its own and knows nothing of a lying server.",
            "s",
            (Query("truechimer_kernel_maxerror_seconds{HOST}", "{{node}}"),),
        ),
        Panel(
            "Servers, as each node judges them",
            "The majority's verdict on every NTP server.",
            "none",
            (Query("truechimer_ntp_verdict{HOST}", "{{node}}: {{server}}"),),
            kind="states",
            codes=ServerVerdict,
        ),
        Panel(
            "NTP: offset by server",
            "UTC − W by the midpoint of each exchange. The distance between servers is what a bound is "
            "made of.",
            "s",
            (Query("truechimer_ntp_offset_seconds{HOST}", "{{node}}: {{server}}"),),
        ),
        Panel(
            "NTP: delay by server",
            "Round trip of each exchange, less the server's own time.",
            "s",
            (Query("truechimer_ntp_delay_seconds{HOST}", "{{node}}: {{server}}"),),
        ),
    ),
)
