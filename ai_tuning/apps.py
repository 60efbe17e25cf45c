from django.apps import AppConfig


class AiTuningConfig(AppConfig):
    name = "ai_tuning"
    verbose_name = "AI tuning (metro)"

    def ready(self) -> None:
        from activity.funnels import evidence
        from ai_tuning import journey
        from ai_tuning.evidence import THUMBS_DOWN, THUMBS_UP
        from sigmasight.lib import timeline

        timeline.register(*journey.SOURCES)
        evidence.register(THUMBS_UP)
        evidence.register(THUMBS_DOWN)
