"""What the tests of arrangements run, in a process of its own, as settings and connections are fixed for its life.

    python -m tests.sigmasight.arrangement '[["migrate", "--check"], ["tables"]]'

prints one JSON list with what each step came to.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import sys
from decimal import Decimal
from uuid import uuid4

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connections, models

OURS = ("activity", "metrics", "ai_tuning", "admin_portal")


def migrate(*arguments):
    """The exit code and the output of `manage.py migrate` with these arguments."""
    out, code = io.StringIO(), 0
    try:
        call_command("migrate", *arguments, stdout=out, no_color=True)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return [code, out.getvalue()]


def tables():
    """By alias: the tables that are there, partitions left out."""
    found = {}
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p') AND NOT relispartition"
            )
            found[alias] = sorted(name for (name,) in cursor.fetchall())
    return found


def recorded():
    """By alias: the apps that have migrations recorded as applied."""
    found = {}
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
            if cursor.fetchone()[0]:
                cursor.execute("SELECT DISTINCT app FROM django_migrations")
            else:
                cursor.execute("SELECT 1 WHERE false")
            found[alias] = sorted(name for (name,) in cursor.fetchall())
    return found


def expected():
    """The tables of every model, by the database they belong to."""
    found = {"gondola": {"django_migrations"}, "metro": {"django_migrations"}}
    for model in apps.get_models(include_auto_created=True):
        home = "metro" if model._meta.app_label == "ai_tuning" else "gondola"
        found[home].add(model._meta.db_table)
    return {home: sorted(names) for home, names in found.items()}


def use():
    """Writes, reads, changes and deletes a row of every model; the models' labels."""
    done = []
    for model in apps.get_models():
        if model._meta.app_label not in OURS:
            continue
        row = made(model)
        again = model.objects.get(pk=row.pk)
        for field in model._meta.concrete_fields:
            if getattr(row, field.attname) != getattr(again, field.attname):
                raise AssertionError(f"{model._meta.label}.{field.name} came back changed")
        again.save()
        if model.objects.filter(pk=row.pk).delete()[0] < 1 or model.objects.filter(pk=row.pk).exists():
            raise AssertionError(f"{model._meta.label} is still there")
        done.append(model._meta.label)
    return done


def made(model):
    """A saved row with something in every column that may not be empty."""
    values = {}
    for field in model._meta.concrete_fields:
        if field.null or field.has_default() or field.has_db_default():
            continue
        if field.is_relation:
            values[field.name] = made(field.related_model)
        else:
            values[field.name] = something(field)
    row = model(**values)
    row.save()
    row.refresh_from_db()
    return row


# What a constraint lets into columns that know no choices.
FITTING = {
    "grain": "hour",
    "slug": "made",
    "dimension": "source",
    "outcome": "done",
    "steps": [{"name": "a", "events": ["a.b"]}],
}


def something(field):
    if field.name in FITTING:
        return FITTING[field.name]
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.CharField | models.TextField):
        return uuid4().hex[: field.max_length or 32]
    for kind, value in (
        (models.UUIDField, uuid4()),
        (models.DateTimeField, dt.datetime.now(dt.UTC)),
        (models.DateField, dt.datetime.now(dt.UTC).date()),
        (models.JSONField, {"a": [1, None]}),
        (models.DecimalField, Decimal("1.25")),
        (models.IntegerField, 7),
        (models.BooleanField, True),
    ):
        if isinstance(field, kind):
            return value
    raise AssertionError(f"say what goes into {field}")


STEPS = {"migrate": migrate, "tables": tables, "recorded": recorded, "expected": expected, "use": use}

if __name__ == "__main__":
    django.setup()
    json.dump([STEPS[name](*arguments) for name, *arguments in json.loads(sys.argv[1])], sys.stdout)
