"""What a page asks for again and again is read once: funnels' definitions, prices, how far roll-ups are filled.

A figure, its sparkline and the period before it each need these. Kept only while one GET or HEAD request is answered,
so nothing is ever older than the page; whoever writes (POST, jobs, commands) always reads anew. A streamed answer is
written after that, and reads anew, too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponse

P = ParamSpec("P")
T = TypeVar("T")

_read: ContextVar[dict[Hashable, Any] | None] = ContextVar("read_once", default=None)


class OnceMiddleware:
    """Within a request that only reads, functions that are `once` keep what they returned."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return self.get_response(request)
        token = _read.set({})
        try:
            return self.get_response(request)
        finally:
            _read.reset(token)


def once(make: Callable[P, T]) -> Callable[P, T]:
    """A function of hashable arguments whose result holds for the request that is being answered. What it raises is
    not kept. Its result is shared: it must not be changed."""

    @wraps(make)
    def kept(*args: P.args, **kwargs: P.kwargs) -> T:
        store = _read.get()
        if store is None:
            return make(*args, **kwargs)
        key = (make, args, tuple(sorted(kwargs.items())))
        if key not in store:
            store[key] = make(*args, **kwargs)
        found: T = store[key]
        return found

    return kept
