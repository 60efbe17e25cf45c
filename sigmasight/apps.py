from django.apps import AppConfig


class SigmasightConfig(AppConfig):
    name = "sigmasight"
    verbose_name = "SigmaSight Admin"
