"""Bearer tokens of the API: signed, for eight hours, and each good only as long as its row of `admin_sessions` is live.

A sign-in is one row, for the cookie and the token alike. The token names the row (`jti`); nothing else in it is
believed: the role, whether the account is on and whether the password is still the one of the sign-in are read anew.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import jwt
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db.models import Q
from django.utils.crypto import constant_time_compare, salted_hmac
from jwt.types import Options

from admin_portal.models import AdminSession, AdminUser
from admin_portal.sessions import SessionStore, token_hash

ALGORITHM = "HS256"
TYPE = "admin"
_SALT = "sigmasight.admin_portal.tokens"
# Not `iat`: the database writes it, and its clock may be a little ahead of ours. The row decides anyway.
_OPTIONS: Options = {"require": ["exp", "iat", "jti", "sub", "type"], "verify_iat": False}
# A token is some 350 characters: what is much longer was never one.
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is asking, by which sign-in, and what showed it."""

    admin: AdminUser
    session: AdminSession
    by: Literal["bearer", "cookie"]


def issue(admin: AdminUser, session: AdminSession) -> str:
    """The token of a sign-in. It ends when the session does."""
    claims = {
        "type": TYPE,
        "sub": str(admin.pk),
        "jti": str(session.pk),
        "role": admin.role,
        "iat": session.created_at,
        "exp": session.expires_at,
    }
    return jwt.encode(claims, _key(settings.SECRET_KEY), algorithm=ALGORITHM)


def seconds_left(session: AdminSession, now: dt.datetime) -> int:
    """How long a session still has, in whole seconds."""
    return max(0, round((session.expires_at - now).total_seconds()))


def by_token(token: str) -> SignedIn | None:
    """Whom a bearer token lets in, None for one that is not ours, was altered, has run out or was revoked."""
    claims = _read(token)
    if claims is None:
        return None
    try:
        row, admin = UUID(str(claims["jti"])), UUID(str(claims["sub"]))
    except ValueError:
        return None
    return _signed_in(Q(pk=row, admin_user_id=admin), "bearer")


def by_cookie(key: str) -> SignedIn | None:
    """Whom the session cookie lets in."""
    return _signed_in(Q(token_hash=token_hash(key)), "cookie") if key else None


def successor(found: SignedIn, ip_address: str, user_agent: str | None) -> SessionStore | None:
    """A fresh session in place of this one, which ends at once. None where it had ended already: of two that ask at
    the same moment, one gets a successor. To be called within a transaction."""
    if not AdminSession.objects.filter(pk=found.session.pk).revoke():
        return None
    data = SessionStore().decode(found.session.session_data)
    store = SessionStore()
    store.create()
    for name in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
        store[name] = data[name]
    store.signed_in(ip_address, user_agent)
    store.save()
    return store


def _signed_in(which: Q, by: Literal["bearer", "cookie"]) -> SignedIn | None:
    row = AdminSession.objects.live().select_related("admin_user").filter(which).first()
    if row is None or not row.admin_user.is_active or not _same_password(row):
        return None
    return SignedIn(row.admin_user, row, by)


def _same_password(row: AdminSession) -> bool:
    """Whether the password is the one that was typed at sign-in, as Django's sessions have it."""
    data = SessionStore().decode(row.session_data)
    held = data.get(HASH_SESSION_KEY, "")
    if not held or data.get(SESSION_KEY) != str(row.admin_user_id):
        return False
    admin = row.admin_user
    hashes = [admin.get_session_auth_hash(), *admin.get_session_auth_fallback_hash()]
    return any(constant_time_compare(held, each) for each in hashes)


def _read(token: str) -> dict[str, object] | None:
    if len(token) > LONGEST:
        return None
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            claims = jwt.decode(token, _key(secret), algorithms=[ALGORITHM], options=_OPTIONS)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError):
            return None
        return claims if claims["type"] == TYPE else None
    return None


def _key(secret: str | bytes) -> bytes:
    """The signing key: from the secret key, and of no use for anything else that is signed with that."""
    return salted_hmac(_SALT, "", secret=secret, algorithm="sha256").digest()
