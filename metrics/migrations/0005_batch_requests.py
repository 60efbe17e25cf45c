import uuid

import django.contrib.postgres.functions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("metrics", "0004_levels"),
    ]

    operations = [
        migrations.CreateModel(
            name="BatchRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("batch_run_id", models.CharField(max_length=255, unique=True)),
                ("job", models.CharField(max_length=50)),
                ("asked_by", models.CharField(max_length=255)),
                ("asked_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "arguments",
                    models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict),
                ),
            ],
            options={
                "db_table": "batch_requests",
                "indexes": [models.Index(fields=["-expires_at"], name="ix_batch_request_expires")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("asked_at"))), name="ck_batch_request_ends"
                    )
                ],
            },
        ),
    ]
