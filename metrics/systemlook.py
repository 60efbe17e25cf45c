"""How everything stands, in one look, and what of it somebody has to do something about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from metrics import servers, storage
from metrics.beats import Beat, beats
from metrics.pipeline import Pipeline, Recording, pipeline, recording
from metrics.servers import Database
from metrics.storage import Partitions
from metrics.workers import RedisState, redis_state
from sigmasight.lib.format import ago, count, duration

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Look:
    """`metro`, `redis`: None where they do not answer. gondola answers, or there would be no page."""

    now: dt.datetime
    gondola: Database | None
    metro: Database | None
    redis: RedisState | None
    beats: tuple[Beat, ...]
    pipeline: Pipeline
    partitions: tuple[Partitions, ...]
    recording: tuple[Recording, ...]

    @property
    def ahead(self) -> int:
        """Days with partitions after today, of the table with the fewest."""
        return storage.days_ahead(self.partitions)

    @property
    def everything_answers(self) -> bool:
        return bool(self.gondola and self.metro and self.redis and self.redis.here)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, what to do, and where it is to be seen. `tone`: bad where something does not work, else warn."""

    text: str
    todo: str
    href: str
    tone: str = "warn"


def look(now: dt.datetime | None = None) -> Look:
    """Eight statements, whatever the number of rows; Redis is waited for half a second at most."""
    now = now or dt.datetime.now(dt.UTC)
    return Look(
        now,
        servers.database("default"),
        servers.database("metro"),
        redis_state(now),
        beats(now),
        pipeline(now),
        storage.storage(now),
        recording(now),
    )


def problems(seen: Look) -> list[Problem]:
    """What is wrong, the worst first."""
    return [*_away(seen), *_jobs(seen), *_figures(seen), *_databases(seen), *_rows(seen)]


def _many(number: int, word: str) -> str:
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def _away(seen: Look) -> Iterator[Problem]:
    if seen.metro is None:
        yield Problem(
            "metro does not answer.",
            "Pages come with what gondola knows. Look at the AI database.",
            "#databases",
            "bad",
        )
    if seen.redis is None:
        yield Problem(
            "Redis does not answer.", "No job is handed to a worker until it does; figures stay right.", "#redis", "bad"
        )
    elif not seen.redis.here:
        yield Problem("No worker is there.", "Start one: celery -A sigmasight worker.", "#workers", "bad")


def _jobs(seen: Look) -> Iterator[Problem]:
    late = [each for each in seen.beats if each.is_late]
    if late and seen.redis is not None and seen.redis.here:
        names = ", ".join(each.name for each in late)
        yield Problem(
            f"Not started on time: {names}.", "Is the beat running? celery -A sigmasight beat.", "#beat", "bad"
        )
    for each in seen.beats:
        if each.outcome == "failed":
            yield Problem(
                f"{each.name} failed {ago(each.ended, seen.now)}.", "Its error stands beside it.", "#beat", "bad"
            )
        elif each.run and each.run[1] in ("failed", "partial"):
            how = "failed" if each.run[1] == "failed" else "went through only in part"
            yield Problem(f"The last run of {each.name} {how}.", "Its page says why.", "#beat")


def _figures(seen: Look) -> Iterator[Problem]:
    if seen.pipeline.is_behind(seen.now):
        lag = seen.pipeline.lag(seen.now)
        behind = f"{duration(lag)} behind" if lag is not None else "behind"
        yield Problem(f"Roll-ups are {behind}.", "Fill them now, and look at the worker’s log.", "#rollups")
    unbuilt = [each.name for each in seen.pipeline.funnels if each.built_at is None]
    if unbuilt:
        yield Problem(f"Not built yet: {', '.join(unbuilt)}.", "manage.py refresh_funnels builds it.", "#rollups")
    if seen.pipeline.unsealed:
        yield Problem(
            f"{_many(seen.pipeline.unsealed, 'day')} could not be sealed.",
            "Nothing of them is removed; Retention says why.",
            "/admin/system/retention#unsealed",
        )


def _databases(seen: Look) -> Iterator[Problem]:
    for each in (seen.gondola, seen.metro):
        if each is None:
            continue
        if each.missing:
            yield Problem(
                f"{each.name}: {_many(len(each.missing), 'migration')} to apply.",
                "manage.py migrate.",
                "#databases",
                "bad",
            )
        if each.is_crowded:
            yield Problem(
                f"{each.name}: {each.connections} of {each.most} connections are taken.",
                "Lower WEB_CONCURRENCY, or raise max_connections.",
                "#databases",
            )
        if each.is_held_up:
            yield Problem(
                f"{each.name}: a transaction has been open for {duration(each.longest)}.",
                "SELECT * FROM pg_stat_activity ORDER BY xact_start.",
                "#databases",
            )


def _rows(seen: Look) -> Iterator[Problem]:
    if storage.is_short(seen.partitions):
        yield Problem(f"Partitions are only {_many(seen.ahead, 'day')} ahead.", "Make partitions now.", "#partitions")
    for part in seen.partitions:
        if part.hole:
            yield Problem(
                f"{part.table} has no partition for {part.hole}.",
                "Rows of it are set aside. Make partitions.",
                "#partitions",
            )
    for aside in seen.pipeline.aside:
        if seen.now - aside.newest < _DAY:
            yield Problem(
                f"Rows of {aside.table} were set aside in the last 24 h.", "A writer’s clock is off.", "#quarantine"
            )
    for each in seen.recording:
        if each.is_quiet:
            yield Problem(
                f"{each.table}: no row for {each.quiet} min of the last hour.",
                f"{count(each.usual)} are usual in this hour. Is the application writing?",
                "#recording",
            )
