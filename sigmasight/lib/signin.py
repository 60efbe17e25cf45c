"""Signing in is the default for every view."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class SignInMiddleware(LoginRequiredMiddleware):
    """Django's, which makes sign-in the default; but a view that is open does not cost a look at who is asking.

    So a probe that happens to carry a cookie does not depend on the database.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
