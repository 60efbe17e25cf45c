"""`manage.py create_admin`."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from admin_portal.management.commands import create_admin
from admin_portal.models import AdminUser
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


def make(*args, **options):
    out = io.StringIO()
    call_command("create_admin", *args, stdout=out, **options)
    return out.getvalue()


def test_a_generated_password_is_printed_once_and_works(client):
    said = make()
    admin = AdminUser.objects.get()
    assert (admin.email, admin.role, admin.is_active) == (create_admin.DEFAULT_EMAIL, "super_admin", True)
    (password,) = re.findall(r"shown this once: (\S+)", said)
    assert said.count(password) == 1
    assert len(password) >= 20
    assert client.post(reverse("login"), {"username": admin.email, "password": password}).status_code == 302


def test_two_generated_passwords_are_not_the_same():
    said = [make("a@example.com"), make("b@example.com")]
    assert said[0].split()[-1] != said[1].split()[-1]


def test_address_and_password_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("ADMIN_EMAIL", " Ines@Example.com ")
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)
    said = make()
    admin = AdminUser.objects.get()
    assert admin.email == "ines@example.com"
    assert admin.check_password(PASSWORD)
    assert PASSWORD not in said
    assert said == "Super admin ines@example.com made, with the password given.\n"


def test_an_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("ADMIN_EMAIL", "ines@example.com")
    make("sam@example.com", "--name", "Sam Okafor", "--role", "admin")
    admin = AdminUser.objects.get()
    assert (admin.email, admin.full_name, admin.role) == ("sam@example.com", "Sam Okafor", "admin")


def test_an_empty_environment_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("ADMIN_EMAIL", "  ")
    monkeypatch.setenv("ADMIN_PASSWORD", "")
    assert "shown this once" in make()
    assert AdminUser.objects.get().email == create_admin.DEFAULT_EMAIL


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 12 characters"),
        ("password1234", "too common"),
        ("123456789012345", "entirely numeric"),
        ("ines@example.com", "too similar"),
    ],
)
def test_a_weak_password_is_refused_in_a_sentence(monkeypatch, password, says):
    monkeypatch.setenv("ADMIN_PASSWORD", password)
    with pytest.raises(CommandError, match="This password won’t do: ") as refused:
        make("ines@example.com")
    assert says in str(refused.value)
    assert not AdminUser.objects.exists()


@pytest.mark.parametrize("email", ["ines@example.com", "INES@Example.COM"])
def test_a_taken_address_is_refused_whatever_its_case(admin, email):
    with pytest.raises(CommandError, match="is an admin already: pick another address"):
        make(email)
    assert AdminUser.objects.count() == 1


@pytest.mark.parametrize(
    "email", ["ines", "ines@", "@example.com", "a b@example.com", "x" * 300 + "@example.com", "a@b.com\x00"]
)
def test_what_is_no_address_is_refused_with_what_to_do(email):
    with pytest.raises(CommandError, match="is not an e-mail address: give one as ADMIN_EMAIL or an argument"):
        make(email)
    assert not AdminUser.objects.exists()


def test_a_role_that_there_is_not_is_refused():
    with pytest.raises(CommandError, match="invalid choice"):
        make("ines@example.com", "--role", "owner")


def test_if_none_makes_one_where_there_is_no_super_admin(admin):
    assert "made" in make("--if-none")
    assert AdminUser.objects.count() == 2


def test_if_none_does_nothing_where_there_is_one(super_admin, monkeypatch):
    monkeypatch.setenv("ADMIN_PASSWORD", "weak")
    assert make("--if-none") == ""
    assert AdminUser.objects.count() == 1


def test_if_none_does_not_count_one_who_is_switched_off(super_admin):
    AdminUser.objects.update(is_active=False)
    assert "made" in make("--if-none")


def test_asking_needs_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("not a terminal"))
    with pytest.raises(CommandError, match="set ADMIN_PASSWORD instead"):
        make("--ask")


def test_on_a_terminal_it_asks(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(create_admin, "getpass", lambda prompt: PASSWORD)
    monkeypatch.setenv("ADMIN_PASSWORD", "not this one, please")
    make("--ask")
    assert AdminUser.objects.get().check_password(PASSWORD)


def test_asked_for_and_not_given_a_password_is_not_made_up(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(create_admin, "getpass", lambda prompt: "")
    with pytest.raises(CommandError, match="This password won’t do"):
        make("--ask")


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(CommandError, match="The name is too long: use at most 255 characters"):
        make("ines@example.com", "--name", "x" * 256)
