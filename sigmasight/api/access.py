"""Who is asking."""

from __future__ import annotations

from typing import Protocol, cast
from uuid import UUID

from django.http import HttpRequest

from sigmasight.api.errors import Forbidden

SUPER_ADMINS_ONLY = "This is for super admins: ask one, or have your role changed."


class Admin(Protocol):
    """The admin who is signed in, as routers need them."""

    @property
    def pk(self) -> UUID: ...
    @property
    def email(self) -> str: ...
    @property
    def full_name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def is_super_admin(self) -> bool: ...


def admin_of(request: HttpRequest) -> Admin:
    """The admin whose call this is. The API signs everybody in before a router runs."""
    return cast("Admin", request.user)


def require_super_admin(request: HttpRequest) -> Admin:
    """The same, for what only super admins may do. Raises Forbidden for everybody else."""
    admin = admin_of(request)
    if not admin.is_super_admin:
        raise Forbidden(SUPER_ADMINS_ONLY)
    return admin
