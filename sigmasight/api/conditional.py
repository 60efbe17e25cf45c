"""Answers that are sent again only when something in them has changed."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from ninja.decorators import decorate_view
from ninja.operation import Operation
from ninja.utils import contribute_operation_callback

View = TypeVar("View", bound=Callable[..., Any])
# These move with the clock, whatever happened: an answer that differs in nothing else is the same answer.
CLOCKS = frozenset({"date_range", "generated_at", "timestamp"})


def conditional(view: View) -> View:
    """For read-only figures, under the route's decorator: a weak ETag, and 304 for a client that has that answer.

    The ETag is of everything in the answer but the moment it was made at.
    """
    contribute_operation_callback(view, _document)
    return decorate_view(_with_etag)(view)


def etag_of(body: bytes) -> str:
    """A weak ETag of JSON as `sigmasight.api.wire` writes it."""
    return f'W/"{hashlib.sha256(_without_clocks(body)).hexdigest()[:32]}"'


def _without_clocks(body: bytes) -> bytes:
    """The body without its clocks. They are cut out as they stand there, since writing a long answer anew takes longer
    than all else; where one is not found again, the ETag is only of less use."""
    named = [name for name in CLOCKS if f'"{name}":'.encode() in body]
    found = json.loads(body) if named else None
    if isinstance(found, dict):
        for name in named:
            if name in found:  # and not only further in, where it is a figure like others
                written = json.dumps(found[name], ensure_ascii=False, separators=(",", ":"))
                body = body.replace(f'"{name}":{written}'.encode(), b"", 1)
    return body


def _document(operation: Operation) -> None:
    operation.response_models.setdefault(304, None)


def _with_etag(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @functools.wraps(run)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = run(request, *args, **kwargs)
        if response.status_code != 200 or response.streaming:
            return response
        etag = etag_of(response.content)
        response["ETag"] = etag
        # Kept by the client alone, and asked for again each time: sign-in is checked before anything is said.
        response["Cache-Control"] = "private, no-cache"
        found = cast("HttpResponse", get_conditional_response(request, etag=etag, response=response))
        found["Cache-Control"] = response["Cache-Control"]
        return found

    return wrapped
