"""The admins themselves and their sign-ins (gondola). Existing rows of both tables are adopted as they are."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Any

import bcrypt
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.db import models
from django.db.models.functions import Lower

from admin_portal.querysets import AdminSessionQuerySet
from sigmasight.lib.dbfields import created_now, uuid_pk

RAW_BCRYPT = ("$2a$", "$2b$", "$2y$")
# bcrypt never looked further; its library now refuses longer input instead of cutting it.
BCRYPT_BYTES = 72


def one_spelling(address: str | None) -> str:
    """An e-mail address as it is looked for, and as wrong passwords for it are counted.

    One function for both: were PostgreSQL to fold the case (`iexact`), "ı" would find "i" and be counted apart.
    """
    return unicodedata.normalize("NFKC", address or "").strip().lower()


class AdminUserManager(BaseUserManager["AdminUser"]):
    def get_by_natural_key(self, username: str | None) -> AdminUser:
        """The admin with this e-mail address, in whatever case it was typed."""
        return self.alias(spelling=Lower("email")).get(spelling=one_spelling(username))

    def create_admin(self, email: str, password: str, full_name: str = "", role: str = "admin") -> AdminUser:
        """A new admin who can sign in. Raises IntegrityError where the address is taken."""
        admin = self.model(email=one_spelling(email), full_name=full_name or email.split("@")[0], role=role)
        admin.set_password(password)
        admin.save(using=self._db)
        return admin


class AdminUser(AbstractBaseUser):
    """One of SigmaSight's own admins. `admin` reads and reviews; `super_admin` may also change everything."""

    class Role(models.TextChoices):
        ADMIN = "admin", "admin"
        SUPER_ADMIN = "super_admin", "super admin"

    id = uuid_pk()
    email = models.EmailField(max_length=255, unique=True)
    password = models.CharField(max_length=255, db_column="hashed_password")
    full_name = models.CharField(max_length=255)
    role = models.CharField(max_length=50, choices=Role, default=Role.ADMIN, db_default="admin")
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = created_now()
    updated_at = created_now(auto_now=True)
    last_login = models.DateTimeField(null=True, blank=True, db_column="last_login_at")
    # Additive: an IANA name, as in "Europe/Berlin"; "" is UTC. For display only.
    timezone = models.CharField(max_length=64, default="", db_default="", blank=True)

    objects = AdminUserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["full_name"]

    class Meta:
        db_table = "admin_users"
        verbose_name = "admin"
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=["admin", "super_admin"]), name="ck_admin_user_role"),
            # Sign-in looks for the address without regard to case; two that differ by case would be a trap.
            models.UniqueConstraint(Lower("email"), name="uq_admin_user_email_lower"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email

    def check_password(self, raw_password: str | None) -> bool:
        """Whether the password is right. One stored the old backend's way (raw bcrypt) is re-hashed on success."""
        if raw_password is None or not self.password.startswith(RAW_BCRYPT):
            return super().check_password(raw_password)
        try:
            if not bcrypt.checkpw(raw_password.encode()[:BCRYPT_BYTES], self.password.encode()):
                return False
        except ValueError:  # not a bcrypt hash after all, or a NUL in the password
            return False
        self.password = make_password(raw_password)
        self.save(update_fields=["password"])
        return True

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return next(iter(self.full_name.split()), self.email)

    @property
    def is_super_admin(self) -> bool:
        return self.role == self.Role.SUPER_ADMIN

    # What Django's own admin asks of a user: everyone may look, super admins may change.
    @property
    def is_staff(self) -> bool:
        return self.is_active

    @property
    def is_superuser(self) -> bool:
        return self.is_active and self.is_super_admin

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        if not self.is_active:
            return False
        return self.is_super_admin or perm.split(".")[-1].startswith("view_")

    def has_perms(self, perm_list: list[str], obj: Any = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active


class AdminSession(models.Model):
    """One sign-in: from where, with what, until when. The row is the session; without a live one nobody is in.

    `token_hash` is the SHA-256, in hex, of the token that the browser or client holds.
    """

    id = uuid_pk()
    # ON DELETE CASCADE is the database's own; the migration adds the constraint, Django can't say it.
    admin_user = models.ForeignKey(
        AdminUser, models.CASCADE, related_name="sessions", db_constraint=False, db_index=False
    )
    token_hash = models.CharField(max_length=255)
    ip_address = models.CharField(max_length=45, null=True, blank=True)
    user_agent = models.TextField(null=True, blank=True)
    created_at = created_now()
    expires_at = models.DateTimeField()
    # Additive: what Django keeps in a session (signed), and when it was ended before its time.
    session_data = models.TextField(default="", db_default="")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = AdminSessionQuerySet.as_manager()

    class Meta:
        db_table = "admin_sessions"
        constraints = [
            # Also the index that finds the session behind a request.
            models.UniqueConstraint(fields=["token_hash"], name="uq_admin_session_token"),
        ]
        indexes = [
            # An admin's own sessions, newest first.
            models.Index(fields=["admin_user", "-created_at"], name="ix_admin_session_admin"),
            # Retention: what expired long ago.
            models.Index(fields=["expires_at"], name="ix_admin_session_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.admin_user_id} from {self.ip_address or 'unknown'}"

    def is_live(self, now: dt.datetime) -> bool:
        """Whether it still lets its holder in at `now`."""
        return self.revoked_at is None and self.expires_at > now


class SavedView(models.Model):
    """A page with its filters and period, kept by an admin under a name. `page`: the view's name in urls.py, as in
    "people"; `query`: the URL's query string, without the place in a list."""

    id = uuid_pk()
    admin_user = models.ForeignKey(
        AdminUser, models.CASCADE, related_name="saved_views", db_constraint=False, db_index=False
    )
    page = models.CharField(max_length=100)
    name = models.CharField(max_length=80)
    query = models.TextField(default="", db_default="", blank=True)
    created_at = created_now()

    class Meta:
        db_table = "admin_saved_views"
        constraints = [
            # Also the index that lists an admin's views of a page.
            models.UniqueConstraint(fields=["admin_user", "page", "name"], name="uq_admin_saved_view"),
        ]

    def __str__(self) -> str:
        return self.name
