"""What the terminal shows of the processes' logs: nothing but trouble, or, on demand, everything."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sigmasight.local.files import rotate

TROUBLE = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC)\b")
TROUBLED_LEVELS = {"WARNING", "ERROR", "CRITICAL"}
# Celery's welcome to root spans several lines; the house's servers run as another account anyway.
HARMLESS = ("superuser privileges", "SecurityWarning", "--uid option", "absolutely not recommended")


@dataclass
class Tail:
    """Follows one log from where it ends now."""

    name: str
    path: Path
    everything: bool = False
    _offset: int = field(default=0, init=False)
    _rest: bytes = field(default=b"", init=False)
    _in_traceback: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.skip()

    def skip(self) -> None:
        """Go on from where the log ends now."""
        self._offset = self.path.stat().st_size if self.path.exists() else 0

    def new_lines(self) -> Iterator[str]:
        """Lines written since the last call, and worth showing."""
        rotate(self.path)
        try:
            size = self.path.stat().st_size
            if size < self._offset:  # emptied in place
                self._offset, self._rest = 0, b""
            if size == self._offset:
                return
            with self.path.open("rb") as file:
                file.seek(self._offset)
                fresh = file.read()
        except OSError:
            return
        self._offset += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        for raw in lines:
            shown = self._shown(raw.decode(errors="replace").rstrip())
            if shown:
                yield shown

    def _shown(self, line: str) -> str:
        if self.everything:
            return line
        if self._in_traceback:
            self._in_traceback = line.startswith((" ", "\t")) or not line
            return line
        if line.startswith("{"):
            try:
                entry = json.loads(line)
            except ValueError:
                return line if TROUBLE.search(line) else ""
            if str(entry.get("level", "")).upper() not in TROUBLED_LEVELS:
                return ""
            said = f"{entry.get('level')} {entry.get('logger', '')}: {entry.get('message', '')}"
            if error := str(entry.get("exc_info") or ""):
                said += f" · {error.splitlines()[-1]}"
            return said
        if line.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
            return line
        if any(part in line for part in HARMLESS):
            return ""
        return line if TROUBLE.search(line) else ""
