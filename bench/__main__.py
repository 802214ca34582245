"""``python -m bench [name …]``: measure these things, by default all, and print one table."""

from __future__ import annotations

import argparse
import os
import sys
import traceback

from bench.alone import MEASURES, measure
from bench.table import Line, printed


def main() -> int:
    """Return 0 when everything was measured, whatever came out, and 1 when something was not."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(MEASURES))
    names = parser.parse_args().names or list(MEASURES)
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there is: {', '.join(MEASURES)}")
    lines: list[Line] = []
    failed = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            lines += measure(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
    load = os.getloadavg()[0]
    print(printed(lines))
    print(f"{os.cpu_count()} cores, load at the end {load:.1f}; a busy machine measures itself.")
    if failed:
        print(f"Not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
