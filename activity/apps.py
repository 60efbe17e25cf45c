from django.apps import AppConfig


class ActivityConfig(AppConfig):
    name = "activity"
    verbose_name = "People and conversations"

    def ready(self) -> None:
        from activity import journey
        from sigmasight.lib import timeline

        timeline.register(*journey.SOURCES)
