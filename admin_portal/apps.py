from django.apps import AppConfig


class AdminPortalConfig(AppConfig):
    name = "admin_portal"
    verbose_name = "Admins"

    def ready(self) -> None:
        from django.conf import settings
        from django.db.models import F

        from admin_portal import signals  # noqa: F401
        from admin_portal.models import AdminSession
        from metrics import retention

        retention.register(
            retention.Sweep(
                table=AdminSession._meta.db_table,
                what="admins’ sessions that expired",
                days=lambda: int(settings.SESSION_RETENTION_DAYS),
                old=lambda before: AdminSession.objects.filter(expires_at__lt=before),
                moment=F("expires_at"),
            )
        )
