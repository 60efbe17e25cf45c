"""The calm list a person sees while the product starts: a tick, what was done, how long it took."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status


class Step:
    """One line of the list; `note` adds a few words behind what was done."""

    def __init__(self) -> None:
        self.note = ""
        self.hidden = False


class Steps:
    """Prints steps as they pass. On a terminal the one at work has a spinner."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, what: str, *, spinner: bool = True) -> Iterator[Step]:
        """Do something as one line of the list. `spinner=False` where it draws a progress bar of its own."""
        began = time.monotonic()
        step = Step()
        status: Status | None = None
        if spinner and self.console.is_terminal:
            status = self.console.status(f"{what} …", spinner="dots")
            status.start()
        try:
            yield step
        finally:
            if status is not None:
                status.stop()
        if not step.hidden:
            self.tick(f"{what}{f' · {step.note}' if step.note else ''}", time.monotonic() - began)

    def tick(self, what: str, seconds: float | None = None) -> None:
        """A line with a tick."""
        took = "" if seconds is None else f"  [dim]{seconds:.1f} s[/dim]"
        self.console.print(f"  [green]✓[/green] {what}{took}")

    def say(self, text: str, style: str = "") -> None:
        """A line as it is; brackets in it are text, not markup."""
        self.console.print(text, style=style or None, markup=False)
