"""Who is asking, from the bearer token or the cookie. Every call but signing in goes through here first."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from admin_portal import tokens
from admin_portal.tokens import SignedIn
from sigmasight.api.errors import Forbidden, Unauthorized

REALM = 'Bearer realm="SigmaSight Admin"'
NOBODY = "Not signed in: send the access_token of POST /api/v1/admin/auth/login as the header Authorization: Bearer …"
INVALID = "This token is not valid, or not any more: sign in again."
ENDED = "This session has ended: sign in again."
NO_CSRF = (
    "A cookie alone does not change anything: send the csrf_token of GET /api/v1/admin/auth/me as the header "
    "X-CSRFToken as well, or a bearer token instead of the cookie. ({})"
)


class _Csrf(CsrfViewMiddleware):
    """Django's check, which here gives its reason instead of a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def csrf_problem(request: HttpRequest) -> str | None:
    """Why a request with a cookie may come from another site, None where it does not."""
    check = _Csrf(_nothing)
    check.process_request(request)
    return cast("str | None", check.process_view(request, _nothing, (), {}))


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def authenticate(request: HttpRequest) -> SignedIn:
    """Who is asking; `request.user` is them from here on. Raises Unauthorized, and Forbidden for a write that has the
    cookie but not its CSRF token. A bearer token that is no good is not rescued by a cookie that is."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = tokens.by_token(token.strip())
        if found is None:
            raise Unauthorized(INVALID, {"WWW-Authenticate": f'{REALM}, error="invalid_token"'})
    else:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        found = tokens.by_cookie(key)
        if found is None:
            raise Unauthorized(ENDED if key else NOBODY, {"WWW-Authenticate": REALM})
        if request.method not in {"GET", "HEAD", "OPTIONS"} and (problem := csrf_problem(request)):
            raise Forbidden(NO_CSRF.format(problem.rstrip(".")))
    request.user = found.admin
    return found


def signed_in(request: HttpRequest) -> SignedIn:
    """What `authenticate` found."""
    return cast("SignedIn", request.auth)  # type: ignore[attr-defined]
