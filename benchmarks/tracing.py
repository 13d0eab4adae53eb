"""Measures traces, from a traced call to the stored tree, beside other libraries; see docs/performance.md.

    python benchmarks/tracing.py                     all parts, one after the other: some ten minutes
    python benchmarks/tracing.py --quick             a smoke test: nothing is judged but that nothing is lost
    python benchmarks/tracing.py --only spans --only stream --json spans.json
    python benchmarks/tracing.py --only site --redis redis://127.0.0.1:11000 --site s1.localhost --pid 1234

Everything runs on real parts of its own: Redis, SQLite in a temporary folder, an embedded host, a consumer. Only a
site's consumer is somebody else's: `bench ai-worker`, whose process `--pid` names, runs already, and its database keeps
what was measured. Ends with 0 when every target was met, 1 when one was not, 2 when a part broke off.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tracing_parts.session import PARTS, Options, run
from benchmarks.tracing_parts.verdict import as_json, text_of

MISSED, FAILED = 1, 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Measure traces, from a traced call to the stored tree.")
    found.add_argument("--only", action="append", choices=PARTS, default=[], help="only this part; may be repeated")
    found.add_argument("--quick", action="store_true", help="a smoke test: little of everything, not judged")
    found.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    found.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the large store there, and take one that is there"
    )
    site = found.add_argument_group("a site's consumer, which runs already")
    site.add_argument("--redis", metavar="URL", help="the Redis of its traces")
    site.add_argument("--site", metavar="NAME")
    site.add_argument("--pid", type=int, help="the consumer's process: stopped while its stream is filled")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and gives the exit code."""
    parsing = parser()
    given = parsing.parse_args(arguments)
    if bool(given.redis) != bool(given.site):
        parsing.error("--redis and --site go together")
    options = Options(
        is_quick=given.quick,
        only=tuple(given.only),
        redis_url=given.redis,
        site=given.site,
        pid=given.pid,
        keep=given.keep.resolve() if given.keep else None,
    )
    report = run(options, lambda line: print(line, file=sys.stderr, flush=True))
    print(text_of(report, given.markdown))
    if given.json:
        given.json.write_bytes(as_json(report))
    if report.failures:
        return FAILED
    lost = [line for line in report.missed if line.must == "all whole"]
    return MISSED if (lost if report.is_quick else report.missed) else 0


if __name__ == "__main__":
    sys.exit(main())
