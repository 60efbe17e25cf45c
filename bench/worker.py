"""A web worker that answers everything once: `python -m bench.worker UNTIL COOKIE`, on the settings' databases.

Says on standard output the process's peak memory in MB, before the first query and after the last.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import sys
from pathlib import Path


def peak() -> float:
    """This program's peak of resident memory in MB, without what the kernel passes on from the program before it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def main(until: dt.datetime, cookie: str) -> dict[str, float]:
    import django

    django.setup()
    from bench import browser
    from bench.queries import registry
    from sigmasight.wsgi import application

    assert application is not None
    browser.resume(cookie)
    browser.get("/admin/ai/conversations?period=24h")
    before = peak()
    for query in registry():
        query.call(until)
    return {"before": before, "after": peak()}


if __name__ == "__main__":
    print(json.dumps(main(dt.datetime.fromisoformat(sys.argv[1]), sys.argv[2])))
