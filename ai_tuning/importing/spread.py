"""When undated conversations took place: spread over a period with the rhythm of a working week."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from itertools import accumulate

_HOUR = dt.timedelta(hours=1)
# By UTC hour: Europe's day, then America's.
_HOURS = (16, 12, 10, 10, 12, 16, 26, 44, 58, 62, 60, 58, 60, 74, 98, 104, 92, 80, 72, 76, 70, 50, 36, 24)
_WEEKEND = 0.55


class Spread:
    """Places a share of 0 to 1 in the period from `start` to `end` (UTC). The same share, the same moment."""

    def __init__(self, start: dt.datetime, end: dt.datetime) -> None:
        self.start, self.end = start, end
        hours = max(1, int((end - start) / _HOUR))
        self._step = (end - start) / hours
        begins = (start + self._step * n for n in range(hours))
        self._sums = list(accumulate(_HOURS[at.hour] * (_WEEKEND if at.weekday() > 4 else 1.0) for at in begins))

    def at(self, share: float, lasting: dt.timedelta) -> dt.datetime:
        """The moment for a share, early enough that something `lasting` so long is over by the end if it can be."""
        goal = share * self._sums[-1]
        hour = bisect_left(self._sums, goal)
        before = self._sums[hour - 1] if hour else 0.0
        found = self.start + self._step * (hour + (goal - before) / (self._sums[hour] - before))
        return max(self.start, min(found, self.end - lasting))

    def days(self) -> list[dt.date]:
        """Each UTC day of the period, and the one after it."""
        count = (self.end.date() - self.start.date()).days + 2
        return [self.start.date() + dt.timedelta(days=n) for n in range(count)]
