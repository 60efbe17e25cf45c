from django.apps import AppConfig


class AiTuningConfig(AppConfig):
    name = "ai_tuning"
    verbose_name = "AI tuning (metro)"

    def ready(self) -> None:
        from ai_tuning import journey
        from sigmasight.lib import timeline

        timeline.register(*journey.SOURCES)
