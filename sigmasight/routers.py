"""Which table lives where: one app, one database."""

from typing import Any

from django.conf import settings
from django.db.models import Model

METRO_APPS = frozenset({"ai_tuning"})


class HouseRouter:
    """`ai_tuning` lives in metro, everything else in gondola (the alias `default`).

    Where both aliases are one database, it is migrated through `default` alone; queries keep their alias.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return "metro" if model._meta.app_label in METRO_APPS else "default"

    db_for_write = db_for_read

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool:
        return self.db_for_read(type(obj1)) == self.db_for_read(type(obj2))

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        if settings.METRO_IS_GONDOLA:
            return db == "default"
        return (db == "metro") == (app_label in METRO_APPS)
