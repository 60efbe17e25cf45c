"""What adoption is going to do: statements, and what each locks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Lock(Enum):
    """What a step does to those who use the table meanwhile, in words for the plan."""

    BRIEF = "locks the table for milliseconds: the catalogue only, no row is read"
    WRITERS = "writers of the tables named wait for milliseconds, readers don't; no row is read"
    READS = "reads the whole table; readers and writers go on"
    ROWS = "locks only the rows it changes, at most 10,000 at a time"
    REWRITES = "locks the table while it is rewritten; it is small"
    NOTHING = "touches nothing that anybody uses yet"

    @property
    def blocks(self) -> bool:
        """Whether others queue behind it while it waits. Then it must not wait long."""
        return self in {Lock.BRIEF, Lock.WRITERS, Lock.REWRITES}


@dataclass(frozen=True, slots=True)
class Step:
    """Statements that belong together. `atomic`: in one transaction. `repeat`: until no row is left to change.

    `table` is the one in whose way it could be, for telling who is in ours.
    """

    why: str
    statements: tuple[str, ...]
    lock: Lock
    table: str = ""
    atomic: bool = False
    repeat: bool = False


@dataclass
class Plan:
    """What is to be done to one database, why it can't be (`refusals`), and what is worth knowing (`notes`)."""

    steps: list[Step] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, why: str, *statements: str, lock: Lock, table: str = "", **kind: bool) -> None:
        """One more step, unless it has no statements."""
        if statements:
            self.steps.append(Step(why, statements, lock, table, **kind))

    def refuse(self, table: str, reason: str) -> None:
        self.refusals.append(f"{table}: {reason}")

    def note(self, table: str, text: str) -> None:
        self.notes.append(f"{table}: {text}")
