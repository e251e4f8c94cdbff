"""``python -m bench [--json] [--only KEY …]``: measure every promise, best of three.

Exits 0 even when a number is short: a loaded machine is no reason to fail a build.
What is short shows in the report and belongs into docs/explanation/performance.md.
"""

import argparse
import sys
from collections.abc import Sequence

from akshi_mesh.config.model import TelemetryConfig
from akshi_mesh.logs import configure_logs
from bench.figure import as_json
from bench.promises import PROMISES


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--only", action="append", metavar="KEY", help="measure only this number")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="best of N (default 3)")
    options = parser.parse_args(arguments)
    wanted = set(options.only or [promise.key for promise in PROMISES])
    unknown = wanted - {promise.key for promise in PROMISES}
    if unknown:
        parser.error(f"unknown key {sorted(unknown)[0]!r}")
    # Nodes in this process log like any other, and stdout is for the report.
    configure_logs(TelemetryConfig(log_level="error"))
    reports: dict[str, dict[str, float | str]] = {}
    for promise in PROMISES:
        if promise.key not in wanted:
            continue
        sample = promise.best(options.rounds)
        reports[promise.key] = promise.report(sample)
        mark = "ok   " if promise.kept_by(sample) else "SHORT"
        print(
            f"{mark} {promise.key:32} {sample.value:12.3f} {promise.unit:10}"
            f" ratio {sample.ratio:10.3f}  must {promise.must:g}  stretch {promise.stretch:g}",
            file=sys.stderr,
        )
    if options.json:
        print(as_json(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
