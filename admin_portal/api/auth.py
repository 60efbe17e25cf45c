"""Signing in and out, and who one is."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate as check_credentials
from django.contrib.auth import login as begin_session
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from ninja import Router
from pydantic import Field

from admin_portal import auth as pages
from admin_portal import tokens
from admin_portal.api.credentials import ENDED, REALM, signed_in
from admin_portal.models import AdminSession, AdminUser
from admin_portal.sessions import SessionStore, token_hash
from sigmasight.api.errors import Unauthorized
from sigmasight.api.house import is_api
from sigmasight.api.middleware import holds_secret
from sigmasight.api.schemas import In, MessageOut, Out, answers
from sigmasight.lib.http import client_ip

router = Router(tags=["Signing in"])
WRONG = "This e-mail address and password don’t go together."
LOCKED = "Too many wrong passwords for this address: try again in a quarter of an hour."
LOCKED_SECONDS = 15 * 60


class LoginIn(In):
    email: Annotated[str, Field(min_length=1, max_length=255, examples=["ines@example.com"])]
    password: Annotated[
        str, Field(min_length=1, max_length=pages.PASSWORD_CHARACTERS, examples=["correct horse battery staple"])
    ]


class TokenOut(Out):
    """A sign-in, and whose it is."""

    access_token: str = Field(examples=["eyJhbGciOiJIUzI1NiIs…"])
    token_type: str = Field(examples=["bearer"])
    expires_in: int = Field(description="Seconds until the token and the cookie end: eight hours.", examples=[28800])
    admin_id: UUID
    email: str = Field(examples=["ines@example.com"])
    role: str = Field(description="admin or super_admin.", examples=["admin"])
    full_name: str = Field(examples=["Ines Marchetti"])
    csrf_token: str = Field(
        description="For clients that stay with the cookie: send it as X-CSRFToken with what changes something."
    )


class MeOut(Out):
    """The admin who is asking."""

    id: UUID
    email: str = Field(examples=["ines@example.com"])
    full_name: str = Field(examples=["Ines Marchetti"])
    role: str = Field(description="admin or super_admin.", examples=["admin"])
    is_active: bool
    created_at: dt.datetime
    last_login_at: dt.datetime | None = Field(description="The last time a password was typed; null if never.")
    expires_at: dt.datetime = Field(description="When this sign-in ends.")
    csrf_token: str | None = Field(description="For X-CSRFToken; null for a bearer token, which needs none.")


@router.post(
    "/login",
    auth=None,
    response=answers(TokenOut, 401, 429),
    operation_id="login",
    summary="Sign in",
)
def login(request: HttpRequest, body: LoginIn) -> TokenOut:
    """An e-mail address and a password for a bearer token of eight hours, and the same sign-in as an HttpOnly cookie.

    Each sign-in is one of its own: a second one leaves the first as it is. Ten wrong passwords for an address from one
    place lock it there for a quarter of an hour (429).
    """
    holds_secret(request)
    admin = check_credentials(request, username=body.email, password=body.password)
    if not isinstance(admin, AdminUser):
        raise Unauthorized(WRONG, {"WWW-Authenticate": REALM})
    # A session of its own, whatever cookie came along: Django would go on with that one.
    request.session = SessionStore()
    with transaction.atomic():
        begin_session(request, admin)
        request.session.save()
    return _token(request, admin, request.session)


@router.post("/refresh", response=answers(TokenOut), operation_id="refresh", summary="Go on for another eight hours")
def refresh(request: HttpRequest) -> TokenOut:
    """A new token and cookie for another eight hours; the old ones are good for nothing from this moment on."""
    holds_secret(request)
    found = signed_in(request)
    with transaction.atomic():
        store = tokens.successor(found, client_ip(request), request.headers.get("User-Agent"))
        if store is None:
            raise Unauthorized(ENDED, {"WWW-Authenticate": REALM})
    if _cookie_is_ours(request, found.session):
        request.session = store
    return _token(request, found.admin, store)


@router.post("/logout", response=answers(MessageOut), operation_id="logout", summary="Sign out")
def logout(request: HttpRequest) -> MessageOut:
    """Ends this sign-in at once: its token and its cookie, and every copy of them."""
    found = signed_in(request)
    AdminSession.objects.filter(pk=found.session.pk).revoke()
    if _cookie_is_ours(request, found.session):
        request.session.flush()
    return MessageOut(message="Signed out.")


@router.get("/me", response=answers(MeOut), operation_id="me", summary="Who one is")
def me(request: HttpRequest) -> MeOut:
    """The admin whose token or cookie this is, as the database has them now."""
    holds_secret(request)
    found = signed_in(request)
    admin = found.admin
    return MeOut(
        id=admin.pk,
        email=admin.email,
        full_name=admin.full_name,
        role=admin.role,
        is_active=admin.is_active,
        created_at=admin.created_at,
        last_login_at=admin.last_login,
        expires_at=found.session.expires_at,
        csrf_token=get_token(request) if found.by == "cookie" else None,
    )


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """The answer to somebody who has guessed too often, as JSON or as a page (called by django-axes)."""
    if not is_api(request):
        return pages.locked_out(request, response, credentials)
    return JsonResponse({"detail": LOCKED}, status=429, headers={"Retry-After": str(LOCKED_SECONDS)})


def _token(request: HttpRequest, admin: AdminUser, store: SessionStore) -> TokenOut:
    session = AdminSession.objects.get(pk=store.row_id)
    return TokenOut(
        access_token=tokens.issue(admin, session),
        token_type="bearer",  # noqa: S106
        expires_in=tokens.seconds_left(session, timezone.now()),
        admin_id=admin.pk,
        email=admin.email,
        role=admin.role,
        full_name=admin.full_name,
        csrf_token=get_token(request),
    )


def _cookie_is_ours(request: HttpRequest, session: AdminSession) -> bool:
    """Whether the browser's cookie, if it has one, is of this sign-in: another's is left alone."""
    held = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    return not held or token_hash(held) == session.token_hash
