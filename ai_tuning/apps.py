from django.apps import AppConfig


class AiTuningConfig(AppConfig):
    name = "ai_tuning"
    verbose_name = "AI tuning (metro)"
