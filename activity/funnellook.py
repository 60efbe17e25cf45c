"""One look at a funnel over a period, as a page asks it: what it reads, it reads once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from activity import funnel
from activity.funnel import By, Cohort, FunnelFigures
from activity.funnel_models import Funnel
from activity.funnels.cells import OTHERS
from activity.funnels.definition import Definition
from activity.funnels.reading import covering
from activity.funnels.recovery import Recoveries, recoveries
from sigmasight.lib.periods import Period


@dataclass(frozen=True, slots=True)
class Reason:
    """Why people stopped in a gap: the error after which they reached nothing; `code` "" for no error, and OTHERS for
    what is rare in its hour."""

    code: str
    people: int

    @property
    def is_named(self) -> bool:
        return self.code not in ("", OTHERS)


@dataclass(frozen=True, slots=True)
class Part:
    """People of one source, device or stopping error. `reached`: by step, as in the funnel."""

    value: str
    reached: tuple[int, ...]

    @property
    def entered(self) -> int:
        return self.reached[0]

    @property
    def is_named(self) -> bool:
        return self.value != OTHERS

    def share(self, step: int) -> float | None:
        """From the first step to this one (from 1), 0 to 1; None for nobody."""
        return self.reached[step - 1] / self.entered if self.entered else None

    def dropped(self, gap: int) -> int:
        """How many reached the gap's first step (from 1) and not the next."""
        return self.reached[gap - 1] - self.reached[gap]


def definitions(using: str = "default") -> list[Definition]:
    """Every funnel that can be asked, in its newest such version, "onboarding" first. Empty: nothing was built yet."""
    newest: dict[str, Definition] = {}
    for row in Funnel.objects.using(using).filter(built_at__isnull=False).order_by("slug", "-version"):
        newest.setdefault(row.slug, Definition.of(row))
    return sorted(newest.values(), key=lambda each: (each.slug != "onboarding", each.name))


class FunnelLook:
    """One look at a funnel. Gaps are numbered by the step before them, from 1."""

    def __init__(self, told: Definition, period: Period, now: dt.datetime | None = None) -> None:
        self.told, self.period = told, period
        self.now = now or dt.datetime.now(dt.UTC)

    @cached_property
    def figures(self) -> FunnelFigures:
        """The period's figures, and the same by the error that stopped people."""
        return funnel.figures(self.told, self.period.start, self.period.end, "error", now=self.now)

    @cached_property
    def before(self) -> Part | None:
        """How far those of the period before got; None for nobody."""
        earlier = self.period.previous
        found = self._parts(earlier.start, earlier.end, "")
        return found[0] if found else None

    def reasons(self, gap: int) -> list[Reason]:
        """Why people stopped in a gap, those that stopped most of them first; they add up to all who stopped there."""
        found = [Reason(each.value, each.steps[gap - 1].dropped or 0) for each in self.figures.groups]
        return sorted((each for each in found if each.people), key=lambda each: (-each.people, each.code))

    def stopped_by(self) -> dict[str, list[tuple[int, int]]]:
        """For each error code, whom it stopped where: (gap, people), most people first."""
        found: dict[str, list[tuple[int, int]]] = {}
        for gap in range(1, len(self.told.steps)):
            for each in self.reasons(gap):
                if each.is_named:
                    found.setdefault(each.code, []).append((gap, each.people))
        return {code: sorted(gaps, key=lambda each: (-each[1], each[0])) for code, gaps in found.items()}

    def recoveries(self, categories: Sequence[str]) -> Recoveries:
        """How people got on after the errors they met in the period."""
        return recoveries(self.told, self.period.start, self.period.end, categories)

    def parts(self, by: By) -> list[Part]:
        """The period's people by source, device or stopping error, most people first."""
        if by == "error":
            return [Part(each.value, tuple(step.reached for step in each.steps)) for each in self.figures.groups]
        return self._parts(self.period.start, self.period.end, by)

    def cohorts(self, by: str) -> list[Cohort]:
        """By day or week of entry."""
        return funnel.cohorts(self.told.slug, self.period, "week" if by == "week" else "day", now=self.now)

    def _parts(self, start: dt.datetime, end: dt.datetime, by: str) -> list[Part]:
        """Of one dimension, "" for everybody."""
        counts: dict[str, list[int]] = {}
        for dimension, value, step, *columns in covering(self.told, start, end, by, "default").rows:
            if dimension == by:
                counts.setdefault(value, [0] * len(self.told.steps))[step - 1] += columns[0]
        found = [Part(value, tuple(reached)) for value, reached in counts.items() if reached[0]]
        return sorted(found, key=lambda each: (-each.entered, each.value))
