"""Makes an admin who can sign in."""

import os
import secrets
import sys
from argparse import ArgumentParser
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from admin_portal.models import AdminUser

NAME = 255
DEFAULT_EMAIL = "admin@sigmasight.localhost"


class Command(BaseCommand):
    help = (
        "Makes an admin. The password comes from ADMIN_PASSWORD, or is asked for on a terminal (--ask), or is "
        "generated and printed once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="?", help="default: ADMIN_EMAIL, then " + DEFAULT_EMAIL)
        parser.add_argument("--name", default="", help="full name, shown in the frame and on annotations")
        parser.add_argument("--role", choices=AdminUser.Role.values, default="super_admin", help="default: %(default)s")
        parser.add_argument("--ask", action="store_true", help="ask for the password on the terminal")
        parser.add_argument("--if-none", action="store_true", help="do nothing where there is an active super admin")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["if_none"] and AdminUser.objects.filter(role="super_admin", is_active=True).exists():
            return
        email = options["email"] or os.environ.get("ADMIN_EMAIL", "").strip() or DEFAULT_EMAIL
        try:
            AdminUser._meta.get_field("email").clean(email, None)
        except ValidationError as error:
            raise CommandError(
                f"“{email}” is not an e-mail address: give one as ADMIN_EMAIL or an argument."
            ) from error
        if AdminUser.objects.filter(email__iexact=email).exists():
            raise CommandError(f"{email} is an admin already: pick another address, or change that one’s password.")
        if len(options["name"]) > NAME:
            raise CommandError(f"The name is too long: use at most {NAME} characters.")
        given = self._given_password(ask=options["ask"])
        password = secrets.token_urlsafe(15) if given is None else given
        admin = AdminUser(email=email, full_name=options["name"])
        try:
            validate_password(password, admin)
        except ValidationError as error:
            raise CommandError("This password won’t do: " + " ".join(error.messages)) from error
        AdminUser.objects.create_admin(email, password, options["name"], options["role"])
        label = AdminUser.Role(options["role"]).label
        self.stdout.write(
            f"{label[0].upper()}{label[1:]} {email.lower()} made, with the password given."
            if given is not None
            else f"{label[0].upper()}{label[1:]} {email.lower()} made. Password, shown this once: {password}"
        )

    def _given_password(self, *, ask: bool) -> str | None:
        if ask:
            if not sys.stdin.isatty():
                raise CommandError("--ask needs a terminal: set ADMIN_PASSWORD instead.")
            return getpass("Password: ")
        return os.environ.get("ADMIN_PASSWORD") or None
