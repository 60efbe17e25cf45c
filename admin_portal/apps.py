from django.apps import AppConfig


class AdminPortalConfig(AppConfig):
    name = "admin_portal"
    verbose_name = "Admins"

    def ready(self) -> None:
        from admin_portal import signals  # noqa: F401
