"""What figures about AI requests are: the values that `metrics.ai` gives and pages draw."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from sigmasight.lib.rawadmin.partitioned import row_key
from sigmasight.lib.rollups.histogram import ERROR_BOUND, Histogram
from sigmasight.lib.rollups.people import People
from sigmasight.lib.rollups.read import Provenance

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class AIFilter:
    """Which requests count. Empty: all."""

    model: str = ""
    error: str = ""
    tool: str = ""
    user_id: UUID | None = None

    @property
    def is_empty(self) -> bool:
        return self == AIFilter()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """p50 … p99 in ms, within `error_bound` of the exact value; `mean`, `smallest` and `largest` exact. None where
    nothing was measured; `measured`: over how many requests."""

    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    measured: int
    mean: float | None = None
    smallest: int | None = None
    largest: int | None = None
    error_bound: float = ERROR_BOUND

    @classmethod
    def of(cls, histogram: Histogram) -> Percentiles:
        p50, p75, p90, p95, p99 = histogram.percentiles(QUANTILES)
        return cls(p50, p75, p90, p95, p99, histogram.count, histogram.mean, histogram.smallest, histogram.largest)


@dataclass(frozen=True, slots=True)
class Summary:
    """A period's figures. Tokens are sums over all requests; `…_counted`: of how many requests they are known."""

    requests: int
    failed: int
    who: People
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    with_tools: int
    tool_calls: int
    latency: Percentiles
    first_token: Percentiles
    last_at: dt.datetime | None
    input_counted: int
    output_counted: int
    cached_counted: int
    provenance: Provenance

    @property
    def people(self) -> int:
        """Different people who asked."""
        return self.who.count

    @property
    def error_rate(self) -> float | None:
        """Failed requests as a share of all, 0 to 1; None for no requests."""
        return self.failed / self.requests if self.requests else None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class BucketFigures:
    """The figures of one minute, hour or day. Percentiles in ms, None where nothing was measured."""

    at: dt.datetime
    requests: int
    failed: int
    p50: float | None
    p95: float | None
    first_p50: float | None
    input_tokens: int
    output_tokens: int
    p90: float | None = None
    p99: float | None = None
    first_p90: float | None = None

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ModelFigures:
    model: str
    requests: int
    share: float  # of the period's requests, 0 to 1
    failed: int
    p50: float | None
    p95: float | None
    first_p50: float | None
    input_tokens: int | None  # None: nobody counted
    output_tokens: int | None
    people: int

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ToolFigures:
    """One tool. `share`: of the period's requests those that called it, 0 to 1; `failed_requests`: of those, how many
    ended in an error; `failed_calls`: calls that say so themselves; times in ms over `timed` calls that carry one."""

    name: str
    calls: int
    requests: int
    share: float
    failed_requests: int
    failed_calls: int = 0
    p50: float | None = None
    p95: float | None = None
    timed: int = 0

    @property
    def failed_share(self) -> float | None:
        """Of its calls those that failed, 0 to 1."""
        return self.failed_calls / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class ToolBucket:
    """One tool in one minute, hour or day: its calls, and those that say themselves that they failed."""

    calls: int
    failed_calls: int

    @property
    def failed_share(self) -> float | None:
        """0 to 1; None for no calls."""
        return self.failed_calls / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """One error type of one model: how often, whom it met, when last, and a sample of what it said."""

    error_type: str
    model: str
    times: int
    people: int | None  # None: not counted
    last_at: dt.datetime
    sample: str
    conversation_id: UUID | None
    by_bucket: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the latency histogram: requests with low <= latency < high, in ms; high None: open."""

    low: int
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request, for lists of the slow and the failed."""

    id: UUID
    created_at: dt.datetime
    conversation_id: UUID
    message_id: UUID
    model: str
    total_latency_ms: int | None
    first_token_ms: int | None
    total_tokens: int | None
    error_type: str | None
    error_message: str | None
    user_id: UUID | None = None

    @property
    def raw_key(self) -> str:
        """The row's name at /admin/db/."""
        return row_key(self.created_at, self.id)
