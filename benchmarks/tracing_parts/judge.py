"""The targets: what each part's figures must be."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.tracing_parts.verdict import Line, at_least, at_most

CALLER_US: Final = 15
TIMES_FASTER: Final = 3
"""The caller's thread, against OpenTelemetry's SDK."""
TOKEN_US: Final = 3
BEGIN_MS: Final = 1
STREAM_PER_S: Final = 100_000
SQLITE_PER_S: Final = 10_000
MARIADB_PER_S: Final = 3_000
LIST_MS: Final = 200
TREE_MS: Final = 500
GROWTH: Final = 0.03

Figures = dict[str, Any]


def spans(found: Figures) -> list[Line]:
    """By library."""
    ours, other = found["ours"], found.get("opentelemetry")
    caller = f" (best {ours['caller_best_us']:g})"
    lines = [at_most("caller's thread per span, CPU", round(ours["caller_us"], 1), CALLER_US, "µs", caller)]
    if other:
        times, process = other["caller_us"] / ours["caller_us"], (ours["process_us"], other["process_us"])
        lines += [
            Line("… against OpenTelemetry", f"1/{times:.1f} of it", f"≤ 1/{TIMES_FASTER}", times >= TIMES_FASTER),
            Line(
                "whole process per span, CPU", f"{process[0]:.0f} µs", f"< {process[1]:.0f} µs", process[0] < process[1]
            ),
        ]
    lines += [
        Line(f"… {name}: caller, process", f"{each['caller_us']:.0f}, {each['process_us']:.0f} µs")
        for name, each in found.items()
        if name != "ours"
    ]
    return lines


def chat(found: Figures) -> list[Line]:
    """Medians with and without tracing, by turns."""
    worker, emitter, begin = found["worker_us_per_token"], found["emitter_ns_per_event"], found["begin_us"]
    usual = {size: us for size, us in begin.items() if size != "1000000 bytes"}
    between = f" ({worker['untraced']:g} → {worker['traced']:g})"
    return [
        at_most("added to a chat, per token, CPU of the worker", worker["added"], TOKEN_US, "µs", between),
        Line("… of the emitter alone", f"{emitter['added'] / 1000:.2f} µs"),
        at_most("added before the first event", round(max(usual.values()) / 1000, 2), BEGIN_MS, "ms"),
        Line("… of a request of 1 MB", f"{begin['1000000 bytes'] / 1000:.2f} ms"),
    ]


def stream(found: Figures) -> list[Line]:
    """Events of about 600 bytes."""
    one, whole = found["publisher"], found["whole"]
    what = f"into the Redis Stream, one process, events of {one['bytes']} bytes"
    more = f" (best {one['best_per_s']:,}; {one['cpu_us']:g} µs CPU)"
    return [
        at_least(what, one["per_s"], STREAM_PER_S, "/s", more),
        Line("… with the program that makes them", f"{whole['per_s']:,} /s (best {whole['best_per_s']:,})"),
        Line("… encoded already, fifty in an entry", f"{found['entries']['per_s']:,} /s"),
        Line("… encoded already, an XADD for each", f"{found['single']['per_s']:,} /s"),
    ]


def store(found: Figures) -> list[Line]:
    """Over SQLite."""
    more = f" (best {found['best_per_s']:,}; {found['cpu_us']:g} µs CPU each)"
    return [at_least("consumer into SQLite, observations", found["per_s"], SQLITE_PER_S, "/s", more)]


def site(found: Figures) -> list[Line]:
    """Over a site's database."""
    cpu = f"; {found['cpu_us']:g} µs CPU each" if "cpu_us" in found else ""
    more = f" (best {found['best_per_s']:,}{cpu})"
    return [at_least("consumer on a site, observations", found["per_s"], MARIADB_PER_S, "/s", more)]


def stored(found: Figures) -> list[Line]:
    """The slowest filter, and the tree."""
    count = f"{found['traces']:,} traces"
    lines = []
    for where, medians in (("over HTTP", found["http"]), ("from the store", found["store"])):
        name = max(medians, key=lambda each: medians[each]["median"])
        slowest = medians[name]
        more = f" ({name}; worst of all {max(each['worst'] for each in medians.values()):g} ms)"
        lines.append(at_most(f"first page of {count} {where}, slowest filter", slowest["median"], LIST_MS, "ms", more))
    for how, one in found["tree"].items():
        what = f"tree of {found['tree_size']:,} observations over HTTP, {how}"
        lines.append(at_most(what, one["median"], TREE_MS, "ms", f" (worst {one['worst']:g}; {one['bytes']:,} bytes)"))
    return lines


def steady(found: Figures) -> list[Line]:
    """Memory and completeness."""
    rss = " → ".join(f"{size:g}" for size in found["rss_mib"].values())
    bad = {name: found[name] for name in ("without_trace", "not_whole", "dead_letters", "foreign")}
    lost = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in bad.items() if count)
    growth = abs(found["grown"])
    return [
        Line("RSS over traced chats", f"{found['grown']:+.1%} ({rss} MiB)", f"within {GROWTH:.0%}", growth <= GROWTH),
        Line(f"traces of {found['chats']:,} chats, the last at once", lost or "all whole", "all whole", not lost),
    ]
