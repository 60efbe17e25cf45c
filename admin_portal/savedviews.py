"""A page with its filters and its period, kept by an admin under a name.

What is kept is the query string, so a named period stays what it is ("7 d" up to the day it is opened). The place in a
list is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import QueryDict
from django.urls import NoReverseMatch, reverse

from admin_portal.models import AdminUser, SavedView
from sigmasight.lib.periods import PAGE_KEYS

# Of one page, so many of one admin.
MOST = 50
NAME, QUERY = 80, 4_000
# What says nothing about what is seen.
_NO_PART = (*PAGE_KEYS, "page", "format", "table")


class SavedViewError(ValueError):
    """A view can't be kept as asked; the text says what to do."""


@dataclass(frozen=True, slots=True)
class View:
    """A saved view as a menu lists it. `is_here`: it is what one is looking at."""

    id: UUID
    name: str
    href: str
    is_here: bool


def normal(query: str) -> str:
    """A query string without what is no part of a view, and without empty fields, its parameters in order."""
    given = QueryDict(query[:QUERY])
    kept = sorted((name, value) for name, values in given.lists() if name not in _NO_PART for value in values if value)
    found = QueryDict(mutable=True)
    for name, value in kept:
        found.appendlist(name, value.replace("\x00", ""))
    return found.urlencode()


def views_of(admin: AdminUser, page: str, query: str) -> list[View]:
    """An admin's views of a page, by name. One query."""
    here = normal(query)
    path = reverse(page)
    return [
        View(row.pk, row.name, f"{path}?{row.query}" if row.query else path, row.query == here)
        for row in SavedView.objects.filter(admin_user=admin, page=page).order_by("name")[:MOST]
    ]


def save_view(admin: AdminUser, page: str, name: str, query: str) -> str:
    """Keeps a view; returns its address. One of the same name is replaced. Raises SavedViewError."""
    name = _named(name)
    try:
        path = reverse(page)
    except NoReverseMatch as error:
        raise SavedViewError("There is no such page to keep a view of.") from error
    kept = normal(query)
    mine = SavedView.objects.filter(admin_user=admin, page=page)
    try:
        with transaction.atomic():
            # Two windows at once must not pass the bound together.
            AdminUser.objects.select_for_update().get(pk=admin.pk)
            if not mine.filter(name=name).exists() and mine.count() >= MOST:
                raise SavedViewError(f"There are {MOST} views of this page already: remove one first.")
            SavedView.objects.update_or_create(admin_user_id=admin.pk, page=page, name=name, defaults={"query": kept})
    except IntegrityError as error:
        raise SavedViewError("This view was being saved by another window: try again.") from error
    return f"{path}?{kept}" if kept else path


def _named(name: str) -> str:
    name = " ".join(name.replace("\x00", "").split())
    if not name:
        raise SavedViewError("A view needs a name: write a few words.")
    if len(name) > NAME:
        raise SavedViewError(f"A name has {NAME} characters at most.")
    return name


def rename_view(admin: AdminUser, view_id: UUID, name: str) -> SavedView | None:
    """Gives one of an admin's own views another name; None where they have none with this id. Raises SavedViewError,
    also where another view of the page has that name: it is not replaced."""
    row = SavedView.objects.filter(admin_user=admin, pk=view_id).first()
    if row is None:
        return None
    row.name = _named(name)
    try:
        with transaction.atomic():
            # Another window may have removed it by now.
            found = SavedView.objects.filter(pk=row.pk).update(name=row.name)
    except IntegrityError as error:
        raise SavedViewError(f"There is a view “{row.name}” of this page already: take another name.") from error
    return row if found else None


def address(row: SavedView) -> str:
    """Where a view leads."""
    try:
        path = reverse(row.page)
    except NoReverseMatch:
        return reverse("overview")
    return f"{path}?{row.query}" if row.query else path


def remove_view(admin: AdminUser, view_id: UUID) -> str | None:
    """Removes one of an admin's own views; returns its page's address, None where they have none with this id."""
    row = SavedView.objects.filter(admin_user=admin, pk=view_id).first()
    if row is None:
        return None
    row.delete()
    try:
        return reverse(row.page)
    except NoReverseMatch:
        return reverse("overview")
