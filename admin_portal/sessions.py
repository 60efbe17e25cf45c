"""Django's sessions, kept in the contract's `admin_sessions`: one row a sign-in, and the row decides.

The browser holds a random key; the table holds its SHA-256, so that a leaked table lets nobody in. A session exists
only for somebody who has signed in: what would be stored for an anonymous visitor is not stored at all. It ends
eight hours after sign-in, or the moment `revoked_at` is set, whichever comes first; nothing extends it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction
from django.utils import timezone


def token_hash(token: str) -> str:
    """The SHA-256 of a token, in hex: what the table keeps of it."""
    return hashlib.sha256(token.encode()).hexdigest()


class SessionStore(SessionBase):
    """The session engine (`SESSION_ENGINE = "admin_portal.sessions"`)."""

    # Where the sign-in came from and when it ends: set at sign-in by `signed_in`, or read from the row.
    ip_address: str | None = None
    user_agent: str | None = None
    expires_at: dt.datetime | None = None
    # The row this request found. A session that had one and has it no more was ended by somebody.
    row_id: Any = None

    def signed_in(self, ip_address: str, user_agent: str | None) -> None:
        """Notes a fresh sign-in, from which the eight hours count."""
        self.ip_address, self.user_agent = ip_address[:45] or None, user_agent
        self.expires_at = timezone.now() + dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def _row(self, key: str) -> Any:
        from admin_portal.models import AdminSession

        return AdminSession.objects.live().filter(token_hash=token_hash(key)).first()

    def load(self) -> dict[str, Any]:
        row = self._row(self.session_key) if self.session_key else None
        if row is None:
            self._session_key = None
            return {}
        self.row_id = row.pk
        self.ip_address, self.user_agent, self.expires_at = row.ip_address, row.user_agent, row.expires_at
        data: dict[str, Any] = self.decode(row.session_data)
        return data

    def exists(self, session_key: str) -> bool:
        from admin_portal.models import AdminSession

        return AdminSession.objects.filter(token_hash=token_hash(session_key)).exists()

    def create(self) -> None:
        """A fresh key (also after a change of password, where the end stays as it was). The row is written at the
        first save with somebody signed in."""
        self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
        self.row_id = None
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        from admin_portal.models import AdminSession

        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        admin_id = data.get(SESSION_KEY)
        if self.session_key is None:
            self.create()
        if admin_id is None:
            return
        hashed, encoded = token_hash(str(self.session_key)), self.encode(data)
        changed = (
            AdminSession.objects.live().filter(token_hash=hashed).update(session_data=encoded, admin_user_id=admin_id)
        )
        if changed:
            return
        if self.row_id is not None:
            # It was there when this request began: somebody has ended it meanwhile, and it stays ended.
            raise UpdateError
        try:
            with transaction.atomic(using=AdminSession.objects.db):
                row = AdminSession.objects.create(
                    token_hash=hashed,
                    admin_user_id=admin_id,
                    ip_address=self.ip_address,
                    user_agent=self.user_agent,
                    session_data=encoded,
                    expires_at=self.expires_at or timezone.now() + dt.timedelta(seconds=settings.SESSION_COOKIE_AGE),
                )
        except IntegrityError as error:
            raise CreateError from error
        self.row_id = row.pk

    def delete(self, session_key: str | None = None) -> None:
        """Ends the session at once. The row stays, as the record of a sign-in, until retention takes it."""
        from admin_portal.models import AdminSession

        key = session_key or self.session_key
        if key:
            AdminSession.objects.filter(token_hash=token_hash(key)).revoke()

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing: the daily job removes sessions that expired more than seven days ago."""
