"""Values out of a line's JSON, or a sentence about what is wrong with them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from sigmasight.lib.linefiles import LineError, kind_of

LARGEST = 2_147_483_647
EARLIEST, LATEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
# Numbers past this are milliseconds: as seconds they would be after the year 5000.
_MILLISECONDS_FROM = 100_000_000_000


def text(found: dict[str, Any], key: str, *, longest: int | None = None) -> str | None:
    """The text under a key, None where there is none."""
    value = found.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise LineError(f"“{key}” must be a text, and is {kind_of(value)}.")
    if longest is not None and len(value) > longest:
        raise LineError(f"“{key}” has {len(value):,} characters, and {longest} is the most. Shorten it.")
    return value


def words(found: dict[str, Any], key: str) -> str | None:
    """Like `text`, but a bare number, true or false is taken as it is written: some files hold answers such as 0."""
    value = found.get(key)
    return json.dumps(value) if isinstance(value, bool | int | float) else text(found, key)


def whole(found: dict[str, Any], *keys: str) -> int | None:
    """The first number there is under the keys, rounded to a whole one; None where there is none."""
    for key in keys:
        value = found.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LineError(f"“{key}” must be a number, and is {kind_of(value)}.")
        if not 0 <= value <= LARGEST:
            raise LineError(f"“{key}” must be between 0 and {LARGEST:,}, and is {str(value)[:40]}.")
        return round(value)
    return None


def mapping(found: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under a key, empty where there is none."""
    value = found.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LineError(f"“{key}” must be an object, and is {kind_of(value)}.")
    return value


def moment(found: dict[str, Any], *keys: str) -> dt.datetime | None:
    """The first time there is under the keys: ISO 8601 (UTC where it names no zone) or seconds or ms since 1970."""
    for key in keys:
        value = found.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise LineError(f"“{key}” must be a time, and is {kind_of(value)}.")
        return as_moment(value, f"“{key}”")
    return None


def as_moment(value: int | float | str, name: str, zone: dt.tzinfo = dt.UTC) -> dt.datetime:
    """A time as ISO 8601 text (in `zone` where it names none) or as seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            read = dt.datetime.fromisoformat(value.strip())
            read = (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(dt.UTC)
        else:
            number = float(value)
            read = dt.datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise LineError(f"{name} is no time: “{str(value)[:60]}”. Write it as 2026-11-22T08:00:00Z.") from None
    if not EARLIEST <= read < LATEST:
        raise LineError(f"{name} is {read:%Y-%m-%d}, and only times from 2000 to 2099 are taken. Check its unit.")
    return read
