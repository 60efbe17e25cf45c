"""Views kept of the page of conversations, which was called "tuning", go with it to its new name."""

from collections.abc import Callable

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def renamed(before: str, after: str) -> Callable[[Apps, BaseDatabaseSchemaEditor], None]:
    def rename(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        views = apps.get_model("admin_portal", "SavedView")._default_manager.using(schema_editor.connection.alias)
        for view in views.filter(page=before):
            # One of that name there already is the newer one.
            if not views.filter(admin_user=view.admin_user_id, page=after, name=view.name).exists():
                views.filter(pk=view.pk).update(page=after)

    return rename


class Migration(migrations.Migration):
    dependencies = [("admin_portal", "0002_timezone_and_views")]

    operations = [
        migrations.RunPython(renamed("tuning", "conversations"), renamed("conversations", "tuning"), elidable=True),
    ]
