"""How far a command is: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import IO, Any, Self, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

PLAIN_EVERY = 5.0  # seconds


def stream_of(wrapper: Any) -> IO[str]:
    """What Django's wrapper of a command's output writes to: it would end each piece with a line end."""
    return cast("IO[str]", getattr(wrapper, "_out", wrapper))


class Meter:
    """Shows progress on `out` while the `with` block runs.

    `total` is in whatever unit `advance_to` is told (bytes, rows), None where nobody knows it; rows are what the rate
    counts. Nothing is shown where `out` is None.
    """

    def __init__(self, label: str, total: float | None, out: IO[str] | None) -> None:
        self._label, self._total, self._out = label, total, out
        self._began = self._last = time.monotonic()
        self._done = 0.0
        self.rows = 0
        self._bar: Progress | None = None
        if out is not None and out.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rows]} rows, {task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(file=out),
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task(label, total=total, rows="0", rate="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            if kind is None:
                self._bar.update(self._task, completed=self._total or self._done, rows=f"{self.rows:,}")
            self._bar.stop()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Rows a second so far."""
        return self.rows / max(self.seconds, 1e-3)

    def advance_to(self, done: float, rows: int) -> None:
        """Says that so much of the total is done and so many rows came of it. Cheap: call it often."""
        self._done, self.rows = done, rows
        now = time.monotonic()
        if self._bar:
            if now - self._last > 0.1:
                self._last = now
                self._bar.update(self._task, completed=done, rows=f"{rows:,}", rate=f"{self.rate:,.0f} a second")
        elif self._out is not None and now - self._last > PLAIN_EVERY:
            self._last = now
            print(self._plain(), file=self._out, flush=True)

    def say(self, text: str, error_stream: Any) -> bool:
        """Prints a line above the bar, where bar and `error_stream` share a terminal. False where they do not."""
        if self._bar is None or not error_stream.isatty():
            return False
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        return True

    def _plain(self) -> str:
        said = f"{self._label}: {self.rows:,} rows, {self.rate:,.0f} a second"
        if self._total and self._done:
            left = self.seconds * max(0.0, self._total / self._done - 1)
            said = f"{self._label}: {min(self._done / self._total, 1):.0%}, {said.split(': ', 1)[1]}, {left:.0f} s left"
        return said
