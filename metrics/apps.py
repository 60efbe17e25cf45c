from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "metrics"
    verbose_name = "AI requests, batch runs, daily metrics"

    def ready(self) -> None:
        from metrics import beats, journey, keeping, workers
        from sigmasight.lib import timeline

        timeline.register(*journey.SOURCES)
        keeping.register()
        beats.connect()
        workers.connect()
