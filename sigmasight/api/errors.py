"""What goes wrong in a call, and the JSON that says so: always `{"detail": …}`.

Routers raise these; the handlers at the end turn them, and what Django, pydantic and psycopg raise, into answers. A
422's `detail` is a list of what is wrong where, with one readable sentence beside it under `message`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import (
    BadRequest as DjangoBadRequest,
)
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connections
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.requestid import current_request_id

log = logging.getLogger(__name__)

DATABASES = {"default": "gondola", "metro": "metro"}
RETRY_AFTER = "30"
# As much of what was sent as an error says again.
ECHOED = 200


class ApiError(Exception):
    """A call that ends without what it asked for. `detail` says why, and what to do about it."""

    status = 500

    def __init__(self, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    """400: understood, and never possible, whatever the state of things."""

    status = 400


class Unauthorized(ApiError):
    """401: nobody knows who is asking."""

    status = 401


class Forbidden(ApiError):
    """403: not with this role."""

    status = 403


class NotFound(ApiError):
    """404: nothing has this id."""

    status = 404


class Conflict(ApiError):
    """409: not as things stand now."""

    status = 409


class Unsupported(ApiError):
    """415: a body of another kind than JSON."""

    status = 415


class Unavailable(ApiError):
    """503: something that this needs is away, or was never set up."""

    status = 503


class Invalid(Exception):
    """422: a parameter, or a field of the body, that can't be meant. `where`: ("query", "days"), ("body", "tags")."""

    def __init__(self, where: Sequence[str | int], message: str, kind: str = "value_error") -> None:
        super().__init__(message)
        self.items = [{"loc": list(where), "msg": message, "type": kind}]


def answer(api: NinjaAPI, request: HttpRequest, status: int, detail: str, **headers: str) -> HttpResponse:
    """An error as it is sent."""
    response = api.create_response(request, {"detail": detail}, status=status)
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return response


def invalid(api: NinjaAPI, request: HttpRequest, items: Iterable[Mapping[str, Any]]) -> HttpResponse:
    """A 422: each item with where (`loc`), what (`msg`) and of which kind (`type`)."""
    found = [
        {"loc": [_plain(part) for part in each["loc"]], "msg": _plain(each["msg"]), "type": str(each["type"])}
        for each in items
    ]
    return api.create_response(request, {"detail": found, "message": sentence(found)}, status=422)


def sentence(items: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong, in one sentence for a person: "days: Input should be less than or equal to 90 (and 1 more)." """
    if not items:
        return "Something in this call can’t be read."
    first = items[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0] if first["loc"] else "body")
    text = f"{place}: {str(first['msg']).removeprefix('Value error, ').rstrip('.')}"
    return f"{text} (and {len(items) - 1} more)." if len(items) > 1 else f"{text}."


def _place(where: Sequence[str | int]) -> Sequence[str | int]:
    """Where in the call something is wrong, without the name that our code has for the body."""
    return ("body", *where[2:]) if where and where[0] == "body" else where


def _plain(value: Any) -> Any:
    """A piece of what was sent, safe to say again: short, and without what JSON or a terminal would choke on."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = str(value)[:ECHOED].removeprefix("Value error, ")
    return text.encode("utf-8", "replace").decode().replace("\x00", "�")


def away() -> list[str]:
    """The databases that do not answer now, by name."""
    found = []
    for alias, name in DATABASES.items():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
        except (OperationalError, InterfaceError):
            connections[alias].close()
            found.append(name)
        except DatabaseError:  # it answers: a transaction is broken
            continue
    return found


def unavailable() -> str:
    """What to say where a database failed us."""
    gone = away()
    if not gone:
        return "The database was too busy for this: try again in a moment."
    if len(gone) > 1:
        return f"The databases {' and '.join(gone)} do not answer: try again in a moment."
    return f"The database {gone[0]} does not answer: try again in a moment."


def unexpected() -> str:
    """What to say where nobody knows what went wrong."""
    return f"Something went wrong here. It is in the log under request {current_request_id()}."


def handle_errors(api: NinjaAPI) -> None:
    """Gives an API its answers to everything that may be raised."""

    def ours(request: HttpRequest, error: ApiError) -> HttpResponse:
        headers = {name.replace("-", "_"): value for name, value in error.headers.items()}
        return answer(api, request, error.status, error.detail, **headers)

    def ours_invalid(request: HttpRequest, error: Invalid) -> HttpResponse:
        return invalid(api, request, error.items)

    def unread(request: HttpRequest, error: ValidationError) -> HttpResponse:
        return invalid(api, request, [{**each, "loc": _place(each["loc"])} for each in error.errors])

    def bad_cursor(request: HttpRequest, error: BadCursorError) -> HttpResponse:
        where = ("query", "cursor")
        return invalid(api, request, [{"loc": where, "msg": str(error), "type": "cursor"}])

    def by_ninja(request: HttpRequest, error: HttpError) -> HttpResponse:
        # ninja makes a 400 of whatever its parser raises; ours says more.
        if isinstance(error.__cause__, ApiError | Invalid):
            return api.on_exception(request, error.__cause__)
        return answer(api, request, error.status_code, str(error))

    def not_found(request: HttpRequest, error: Http404) -> HttpResponse:
        return answer(api, request, 404, str(error) or "There is nothing here.")

    def refused(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
        return answer(api, request, 403, str(error) or "Your role does not allow this.")

    def too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return answer(api, request, 413, TOO_LARGE)

    def suspicious(request: HttpRequest, error: Exception) -> HttpResponse:
        return answer(api, request, 400, "This call can’t be read.")

    def database_away(request: HttpRequest, error: Exception) -> HttpResponse:
        log.warning("a database failed: %s", " ".join(str(error).split()))
        return answer(api, request, 503, unavailable(), Retry_After=RETRY_AFTER)

    def anything(request: HttpRequest, error: Exception) -> HttpResponse:
        log.error("%s %s failed", request.method, request.path_info, exc_info=error)
        return answer(api, request, 500, unexpected())

    handlers: dict[type[Exception], Any] = {
        ApiError: ours,
        Invalid: ours_invalid,
        ValidationError: unread,
        BadCursorError: bad_cursor,
        HttpError: by_ninja,
        AuthenticationError: by_ninja,
        Http404: not_found,
        PermissionDenied: refused,
        RequestDataTooBig: too_large,
        UnreadablePostError: suspicious,
        SuspiciousOperation: suspicious,
        DjangoBadRequest: suspicious,
        OperationalError: database_away,
        InterfaceError: database_away,
        Exception: anything,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)


TOO_LARGE = "That is too much at once: a body may have 2.5 MB. Send it in parts."
