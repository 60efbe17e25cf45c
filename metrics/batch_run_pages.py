"""One batch run in words and drawn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from metrics import phases
from metrics.batch import TOTAL
from metrics.batch_pages import Said, against_usual, to_the_minute
from metrics.batcherrors import said
from metrics.batchfigures import OpenedRun, is_slow
from metrics.batchhistory import CurrentRun, Now
from metrics.batchlog import LogEntry
from metrics.querysets import OWN_RUNS
from sigmasight.lib.cards import Card, card
from sigmasight.lib.charts.gantt import Gantt, Span, end_to_end, gantt
from sigmasight.lib.format import COUNT, SECONDS, Quantity, percent
from sigmasight.lib.zones import here

# What `metrics.batcherrors` makes readable; whatever else a summary holds is listed beside it.
_READ = {"count", "types", "type", "details", "errors", "exception"}


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands. `current`: set where it goes and is the newest that does; `is_stale`: it says that it goes,
    but has not been heard of for long."""

    opened: OpenedRun
    current: CurrentRun | None
    is_stale: bool
    now: dt.datetime

    @property
    def goes(self) -> bool:
        return self.opened.run.status == "running" and not self.is_stale

    @property
    def usual(self) -> float | None:
        """What is usual for it, in seconds: of a run that goes, what its end is estimated by."""
        return self.current.usual_seconds if self.current else self.opened.listed.usual

    @property
    def seconds(self) -> float | None:
        """How long it took, or has been going."""
        if self.goes:
            return max(0.0, (self.now - self.opened.run.started_at).total_seconds())
        return self.opened.listed.seconds


def state_of(opened: OpenedRun, doing: Now | None, now: dt.datetime) -> RunState:
    """A run's state; `doing` is what the engine does now, needed only for a run that says that it goes."""
    current = doing.current if doing and doing.current and doing.current.run.pk == opened.run.pk else None
    stale = bool(doing and doing.stale and doing.stale.pk == opened.run.pk)
    return RunState(opened, current, stale, now)


def in_words(state: RunState) -> tuple[str, list[Said]]:
    """How it went, or how far it is."""
    run = state.opened.run
    if state.is_stale:
        return "It never said that it ended.", [Said("Nothing has been heard of it for long; it was likely killed.")]
    if state.goes:
        return f"Going since {here(run.started_at):%H:%M}.", _progress(state)
    ended = run.completed_at or run.started_at
    word = {"failed": "Failed", "partial": "Went through only in part,"}.get(run.status, "Finished")
    tell: list[Said] = []
    extra = None if run.status == "failed" else state.opened.listed.extra
    if state.seconds is not None:
        took = against_usual(extra)
        slow = state.opened.slow_phases if (extra or 0) > 0 else ()
        phase = f": {slow[0][0]}" if slow and took != "as usual" else ""
        tell.append(Said(f"It took {to_the_minute(state.seconds)}{f', {took}' if took else ''}", "", f"{phase}."))
    return f"{word} at {here(ended):%H:%M}.", tell


def _progress(state: RunState) -> list[Said]:
    going = state.current
    if going is None:
        return [Said("A newer run is going too.")]
    tell = []
    if going.phase:
        tell.append(Said(f"In {going.phase}."))
    if going.remaining is not None:
        end = state.now + dt.timedelta(seconds=going.remaining)
        tell.append(
            Said(f"About {to_the_minute(going.remaining)} left, until {here(end):%H:%M}, if it takes as long as usual.")
        )
    elif going.usual_seconds is not None:
        tell.append(Said(f"{to_the_minute(going.elapsed - going.usual_seconds)} longer than usual already."))
    else:
        tell.append(Said("No run like it has completed before, so its end can’t be estimated."))
    return tell


def cards(state: RunState, errors: int) -> list[Card]:
    """Length, jobs, failed jobs, errors."""
    run, usual = state.opened.run, state.usual
    total, done = run.total_jobs or 0, run.completed_jobs or 0
    slow = not state.goes and is_slow(state.seconds, usual)
    held = f"usual {SECONDS.show(usual)}" if usual is not None else "nothing like it before"
    return [
        Card(
            "Length",
            SECONDS.show(state.seconds),
            sub="so far" if state.goes else "",
            delta=held,
            tone="warn" if slow else "",
            exactness="exact",
        ),
        Card(
            "Jobs completed",
            COUNT.show(done),
            sub=f"of {total:,}" if total else "",
            delta=f"{percent(min(done / total, 1.0))}" if total else "nobody said of how many",
        ),
        card("Jobs failed", run.failed_jobs or 0, note=_share(run.failed_jobs or 0, total), href="#errors"),
        Card("Errors", Quantity(f"{errors:,}"), delta="by its summary", href="#errors"),
    ]


def _share(failed: int, total: int) -> str:
    return f"{percent(min(failed / total, 1.0))} of {total:,}" if total else "nobody said of how many"


def ordered(opened: OpenedRun, entries: list[LogEntry]) -> list[str]:
    """A run's phases one after another: by their number, and our own jobs' steps as the log names them."""
    names = phases.in_order(opened.listed.figures.phases)
    if not opened.run.batch_run_id.startswith(OWN_RUNS):
        return names
    messages = [each.message for each in entries]

    def place(name: str) -> int:
        return next((rank for rank, text in enumerate(messages) if text.startswith(f"{name}:")), len(messages))

    return sorted(names, key=place)


def drawn(state: RunState, entries: list[LogEntry]) -> Gantt:
    """The run's phases end to end, each against its usual; the one that it is in now, hatched."""
    opened = state.opened
    names = ordered(opened, entries)
    lengths = [opened.listed.figures.phases[name] for name in names]
    starts = end_to_end(lengths)
    spans = []
    for name, start, seconds in zip(names, starts, lengths, strict=True):
        usual = opened.usual_phases.get(name)
        spans.append(Span(name, start, seconds, usual, is_slow(seconds, usual), note=_note(seconds, usual)))
    done = sum(lengths)
    if state.current and state.current.phase and state.seconds is not None and state.seconds > done:
        phase, going = state.current.phase, state.seconds - done
        usual = opened.usual_phases.get(phase)
        note = f"so far, {_note(going, usual)}"
        spans.append(Span(phase, done, going, usual, is_slow(going, usual), going=True, note=note))
    what = ", ".join(f"{span.name} {SECONDS.show(span.length)}" for span in spans[:12])
    return gantt(label=f"Phases one after another: {what}.", spans=spans, empty="It recorded no phase.")


def _note(seconds: float, usual: float | None) -> str:
    """`usual 13 min`, with the difference before it where it is worth a word."""
    if usual is None:
        return "no usual"
    held, extra = f"usual {SECONDS.show(usual)}", seconds - usual
    return f"+{to_the_minute(extra)}, {held}" if is_slow(seconds, usual) else held


def phases_sub(state: RunState) -> str:
    """What the phases' chart rests on."""
    recorded, whole = sum(state.opened.listed.figures.phases.values()), state.seconds
    parts = ["drawn end to end"]
    if whole and not state.goes and abs(whole - recorded) > 0.01 * whole:
        parts.insert(0, f"{SECONDS.show(recorded)} of {SECONDS.show(whole)}")
    if state.opened.compared:
        runs = "run like it that completed" if state.opened.compared == 1 else "runs like it that completed"
        parts.append(f"the tick is where it usually ends, the median of {state.opened.compared} {runs} before")
    return ", ".join(parts)


def other_facts(summary: Any) -> list[tuple[str, str]]:
    """What an error summary holds besides errors, by name: "calc date", "crashed after dates"."""
    if not isinstance(summary, dict):
        return []
    return [
        (str(name).replace("_", " "), ", ".join(said(one) for one in value) if isinstance(value, list) else said(value))
        for name, value in summary.items()
        if name not in _READ and name != TOTAL and value not in (None, "", [], {})
    ]
