"""JSON as it comes in and goes out."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

from django.http import HttpRequest
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from sigmasight.api.errors import Invalid, Unsupported
from sigmasight.api.params import no_nul

NOT_JSON = "The body must be JSON: send it with the header Content-Type: application/json."


class StrictParser(Parser):
    """Bodies are JSON as the standard has it, and nothing in them that PostgreSQL could not store.

    Another Content-Type is refused, as a page elsewhere can make a browser send anything but JSON without asking.
    """

    def parse_body(self, request: HttpRequest) -> Any:
        if (request.content_type or "").lower() != "application/json":
            raise Unsupported(NOT_JSON)
        try:
            found = json.loads(request.body.decode(), parse_constant=_no_number, parse_float=_finite)
        except RecursionError:
            raise Invalid(("body",), "It is nested too deeply.", "json_invalid") from None
        except UnicodeDecodeError:
            raise Invalid(("body",), "It is not UTF-8.", "json_invalid") from None
        except ValueError as error:
            raise Invalid(("body",), f"It is not JSON: {error}", "json_invalid") from None
        _check(found, ("body",))
        return found


def no_body(request: HttpRequest) -> None:
    """Refuses what is asked for in the body of a call that takes it in the query: it would be lost without a word.
    Existing clients send `{}`."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    is_long = not length.isdigit() or int(length) > 100
    if request.content_type == "application/json" and (is_long or request.body.strip() not in (b"", b"{}", b"null")):
        raise Invalid(("body",), "Say what you want in the query, as in ?days=7: there is no body.")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON’s")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is larger than any number here")
    return number


def _check(found: Any, where: tuple[str | int, ...]) -> None:
    """Refuses strings, keys among them, that can't be stored."""
    if isinstance(found, str):
        try:
            no_nul(found)
        except ValueError as error:
            raise Invalid(where, str(error), "string_unicode") from None
    elif isinstance(found, list):
        for place, each in enumerate(found):
            _check(each, (*where, place))
    elif isinstance(found, dict):
        for name, value in found.items():
            _check(name, (*where, name))
            _check(value, (*where, name))


class Renderer(BaseRenderer):
    """JSON in UTF-8, times in UTC as ISO 8601 with the offset."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        try:
            return _written(data)
        except ValueError:
            return _written(_showable(data))


def _written(data: Any) -> bytes:
    return json.dumps(data, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _showable(value: Any) -> Any:
    """Somebody else's JSON, as PostgreSQL keeps it, may hold numbers that Python only takes for infinite, and JSON has
    no word for that: they become text."""
    if isinstance(value, float) and not isfinite(value):
        return "a number too large to show" if value > 0 else "a negative number too large to show"
    if isinstance(value, dict):
        return {name: _showable(each) for name, each in value.items()}
    return [_showable(each) for each in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise TypeError("a time without an offset says nothing to a client")
        return value.astimezone(dt.UTC).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
