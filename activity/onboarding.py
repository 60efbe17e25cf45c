"""The onboarding funnel as its clients know it: how many people got how far, of those who entered in a period."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from activity import funnel
from activity.funnels.definition import UnknownFunnelError
from sigmasight.lib.periods import between

SLUG = "onboarding"
# The event of each step, and what it is called: as long as nothing was counted.
UNCOUNTED = (
    ("registration_started", "Registration started", "onboarding.register_start"),
    ("registered", "Registered", "onboarding.register_complete"),
    ("signed_in", "Signed in", "onboarding.login_success"),
    ("portfolio_started", "Portfolio started", "onboarding.portfolio_start"),
    ("portfolio_made", "Portfolio made", "onboarding.portfolio_complete"),
)


@dataclass(frozen=True, slots=True)
class OnboardingStep:
    """`people` who reached it within the funnel's window. `event_type`: the step's own event.

    `of_first`, `of_previous`: as shares of those who reached the first step and the step before, 0 to 1; None for none
    of none, and `of_previous` for the first step.
    """

    name: str
    label: str
    event_type: str
    people: int
    of_first: float | None
    of_previous: float | None

    @property
    def dropped(self) -> float | None:
        """Of those who reached the step before, the share that did not reach this one."""
        return None if self.of_previous is None else 1 - self.of_previous


@dataclass(frozen=True, slots=True)
class OnboardingFigures:
    """Of people who entered in [start, end). `as_of`: what was written until then is in; None: never counted yet.

    `mature_at`: until then some of them may still go on; None: nobody. `unattributed`: registrations begun by somebody
    of whom the event says nothing, and who is in no step for that.
    """

    start: dt.datetime
    end: dt.datetime
    steps: tuple[OnboardingStep, ...]
    unattributed: int
    mature_at: dt.datetime | None
    as_of: dt.datetime | None

    @property
    def started(self) -> int:
        return self.steps[0].people

    @property
    def completed(self) -> int:
        return self.steps[-1].people

    @property
    def conversion(self) -> float | None:
        """From the first step to the last, 0 to 1; None for nobody."""
        return self.steps[-1].of_first


def figures(start: dt.datetime, end: dt.datetime, *, now: dt.datetime | None = None) -> OnboardingFigures:
    """The figures of those who entered in a period: people, each counted once, in the order of the steps."""
    try:
        told = funnel.funnel(SLUG, between(start, end), now=now)
    except UnknownFunnelError:
        steps = tuple(OnboardingStep(*each, 0, None, None) for each in UNCOUNTED)
        return OnboardingFigures(start, end, steps, 0, None, None)
    steps = tuple(
        OnboardingStep(
            step.name,
            step.label,
            (defined.events or defined.proofs)[0],
            step.reached,
            step.from_first,
            step.from_previous if step.number > 1 else None,
        )
        for step, defined in zip(told.steps, told.definition.steps, strict=True)
    )
    return OnboardingFigures(start, end, steps, told.unattributed, told.mature_at, told.as_of)
