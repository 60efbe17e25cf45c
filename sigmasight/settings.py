"""Every setting of the product, read from the environment (and from `.env` beside manage.py, if there is one).

`.env.example` lists each variable with its meaning and default. Where DATABASE_URL is not set, the embedded
servers of `make run` are assumed, and their addresses are derived from the checkout's place.
"""

import os
import secrets
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import unquote

import environ
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from sigmasight.local.urls import local_urls

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = BASE_DIR / ".local"

env = environ.Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(str(BASE_DIR / ".env"))


def _optional(name: str) -> str:
    """The variable's value, or "" where it is unset or blank."""
    return str(env.str(name, default="")).strip()


# --- What kind of process this is -------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
EMBEDDED = not _optional("DATABASE_URL")
# Cookies only over TLS, redirects to it, HSTS. `make run` switches it off on the loopback address.
HTTPS = env.bool("HTTPS", default=not DEBUG)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# How many proxies in front of us append to X-Forwarded-For. 0: the header is not believed.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)


def _secret_key() -> str:
    """SECRET_KEY, or, with the embedded servers only, a key made once and kept in .local/secret_key (0600)."""
    if given := _optional("SECRET_KEY"):
        return given
    if not EMBEDDED:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set: give every process the same long random string, for example the output of "
            "`python -c 'import secrets; print(secrets.token_urlsafe(64))'`."
        )
    path = LOCAL_DIR / "secret_key"
    if not path.exists():
        LOCAL_DIR.mkdir(exist_ok=True)
        # Written aside and linked into place: another process sees all of it or none, and the first one wins.
        with NamedTemporaryFile("w", dir=LOCAL_DIR, prefix="secret_key.") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text().strip()


SECRET_KEY = _secret_key()

# --- The two databases --------------------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    """Django's settings for one PostgreSQL address, `postgres://user:password@host:port/name`.

    Raises ImproperlyConfigured, without the address in its text: that may hold a password.
    """
    scheme, separator, _ = url.partition("://")
    if scheme not in {"postgres", "postgresql"}:
        got = f"one that begins {scheme}://" if separator else "one without any scheme"
        raise ImproperlyConfigured(
            f"This product needs PostgreSQL: a database address is postgres://user:password@host:port/name, not {got}."
        )
    try:
        config: dict[str, Any] = dict(env.db_url_config(url))
    except ValueError:
        raise ImproperlyConfigured(
            "A database address can't be read: write postgres://user:password@host:port/name, "
            "with / : @ ? # % in user and password percent-encoded (a slash is %2F)."
        ) from None
    config["HOST"] = unquote(config["HOST"] or "")
    config["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    config["CONN_HEALTH_CHECKS"] = True
    # A database that is away must be noticed at once: pages then show what the other one has.
    config["OPTIONS"] = {
        "connect_timeout": env.int("DB_CONNECT_TIMEOUT", default=3),
        "application_name": "sigmasight-admin",
        **config.get("OPTIONS", {}),
    }
    return config


_local = local_urls(BASE_DIR)
DATABASE_URL = _optional("DATABASE_URL") or _local.database_url
AI_DATABASE_URL = _optional("AI_DATABASE_URL") or (_local.ai_database_url if EMBEDDED else DATABASE_URL)
REDIS_URL = _optional("REDIS_URL") or _local.redis_url

DATABASES = {"default": _database(DATABASE_URL), "metro": _database(AI_DATABASE_URL)}
# One database under both names: the router then makes every table through the one, and neither twice.
METRO_IS_GONDOLA = len({(each["HOST"], each["PORT"] or 5432, each["NAME"]) for each in DATABASES.values()}) == 1
if METRO_IS_GONDOLA:
    DATABASES["metro"]["TEST"] = {"MIRROR": "default"}
DATABASE_ROUTERS = ["sigmasight.routers.HouseRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications -------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "sigmasight",
    "admin_portal",
    "ai_tuning",
    "metrics",
    "activity",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "csp",
    "django_filters",
    "django_htmx",
    "template_partials",
]

MIDDLEWARE = [
    "sigmasight.lib.requestid.RequestIdMiddleware",
    "sigmasight.lib.once.OnceMiddleware",
    "sigmasight.api.middleware.ApiErrorsMiddleware",
    "sigmasight.api.middleware.CompressMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "sigmasight.lib.http.NoStoreMiddleware",
    "sigmasight.lib.http.TrailingSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sigmasight.lib.signin.SignInMiddleware",
    "sigmasight.lib.zones.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "sigmasight.urls"
WSGI_APPLICATION = "sigmasight.wsgi.application"
# The product's own pages carry no trailing slash; Django's admin under /admin/db/ does.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "admin_portal.nav.frame",
            ],
            "builtins": ["sigmasight.templatetags.ui", "template_partials.templatetags.partials"],
        },
    }
]

# --- People who sign in -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "admin_portal.AdminUser"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Raw bcrypt of the old backend is read by AdminUser.check_password, once, and then stored this way.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"

SESSION_ENGINE = "admin_portal.sessions"
SESSION_COOKIE_NAME = "sigmasight_admin"
# Eight hours from sign-in, whatever happens in between; the row in admin_sessions decides, not the cookie.
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "sigmasight_csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# Ten wrong passwords for one address from one place: that pair waits a quarter of an hour.
AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=10)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# As the form and Django's signals name it. axes' default, `email`, finds nothing there and takes what was typed, raw.
AXES_USERNAME_FORM_FIELD = "username"
AXES_LOCKOUT_CALLABLE = "admin_portal.api.auth.locked_out"
AXES_USERNAME_CALLABLE = "admin_portal.auth.address_typed"
AXES_CLIENT_IP_CALLABLE = "sigmasight.lib.http.client_ip"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # admin_sessions is the record of sign-ins
AXES_ENABLE_ADMIN = False

# --- Security headers ---------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes speak plain HTTP to the process itself
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000) if HTTPS else 0
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: they are other teams' to decide
    "security.W021",  # and so is preloading
]

# --- The API's callers elsewhere ----------------------------------------------------------------------------

# Origins (https://tools.example.com) whose pages may call the API, with a bearer token: cookies stay at home.
CORS_ALLOWED_ORIGINS = env.list("API_CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/" if CORS_ALLOWED_ORIGINS else r"(?!)"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "if-match", "if-none-match", "x-request-id"]
CORS_EXPOSE_HEADERS = ["ETag", "Retry-After", "X-Next-Cursor", "X-Request-ID", "X-Total-Records"]

# --- Static files, language, time ---------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(LOCAL_DIR / "static"))()
STATICFILES_DIRS = [BASE_DIR / "static"]
TESTING = "pytest" in sys.modules
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG or TESTING

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Jobs ---------------------------------------------------------------------------------------------------


def _broker(url: str) -> str:
    """A Redis address as Celery writes it: redis-py's `unix:///socket?db=2` is `redis+socket:///socket?virtual_host=2`."""
    if not url.startswith("unix://"):
        return url
    return (
        url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=").replace("&db=", "&virtual_host=")
    )


CELERY_BROKER_URL = _broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 3, "socket_timeout": 10}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # every job may run twice, none may be lost
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = env.str("BEAT_SCHEDULE_FILE", default=str(LOCAL_DIR / "beat-schedule"))
CELERY_BEAT_SCHEDULE = {
    "keep-partitions-ahead": {
        "task": "activity.tasks.keep_partitions_ahead",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    # A task that nobody took before the next one came is one too many.
    "fill-rollups": {
        "task": "metrics.tasks.fill_rollups",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 25},
    },
    # Before the daily job, which lets no day go that the funnels have not read.
    "reconcile-funnels": {
        "task": "activity.tasks.reconcile_funnels",
        "schedule": crontab(hour=0, minute=40),
        "options": {"expires": 12 * 3600},
    },
    "daily-job": {
        "task": "metrics.tasks.daily_job",
        "schedule": crontab(hour=1, minute=0),
        "options": {"expires": 12 * 3600},
    },
}

# --- The calculation engine: it runs in SigmaSight's application, and jobs are handed to it -----------------------

# The engine's tasks, by the name of the job: each is sent by its own name, which nobody here imports.
BATCH_TASKS = {
    "run": _optional("BATCH_TASK_RUN"),
    "market-data": _optional("BATCH_TASK_MARKET_DATA"),
    "correlations": _optional("BATCH_TASK_CORRELATIONS"),
    "company-profiles": _optional("BATCH_TASK_COMPANY_PROFILES"),
    "restore-sector-tags": _optional("BATCH_TASK_RESTORE_SECTOR_TAGS"),
    "cleanup-incomplete": _optional("BATCH_TASK_CLEANUP_INCOMPLETE"),
}
BATCH_QUEUE = _optional("BATCH_QUEUE")
BATCH_BROKER_URL = _broker(_optional("BATCH_BROKER_URL") or REDIS_URL)
# What no worker of the engine took by then lapses, so that it does not start when nobody expects it any more.
BATCH_START_SECONDS = env.int("BATCH_START_SECONDS", default=300)
if BATCH_START_SECONDS < 1:
    raise ImproperlyConfigured("BATCH_START_SECONDS is how long a job waits for a worker: one second or more.")
# A run that has said nothing for so long is not going any more.
BATCH_STALE_HOURS = env.int("BATCH_STALE_HOURS", default=6)

# --- The product's own --------------------------------------------------------------------------------------

# Whole UTC days before today's: what is older goes, once it is sealed.
RETENTION_DAYS = env.int("RETENTION_DAYS", default=30)
BATCH_RETENTION_DAYS = env.int("BATCH_RETENTION_DAYS", default=RETENTION_DAYS)
# After they expired.
SESSION_RETENTION_DAYS = env.int("SESSION_RETENTION_DAYS", default=7)
# Hourly figures are kept this long, daily ones for ever.
ROLLUP_HOUR_DAYS = env.int("ROLLUP_HOUR_DAYS", default=100)
PARTITION_DAYS_AHEAD = env.int("PARTITION_DAYS_AHEAD", default=14)

# --- The language model of feedback learning: any OpenAI-compatible address; none: counting alone ------------------

LLM_BASE_URL = _optional("LLM_BASE_URL")
LLM_API_KEY = _optional("LLM_API_KEY")
LLM_MODEL = _optional("LLM_MODEL")
if bool(LLM_BASE_URL) != bool(LLM_MODEL):
    raise ImproperlyConfigured("LLM_BASE_URL and LLM_MODEL belong together: set both, or neither.")
if LLM_BASE_URL and not LLM_BASE_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("LLM_BASE_URL is no address: write it as https://api.openai.com/v1.")
# Seconds that one attempt may take; attempts at a question; questions of one run.
LLM_TIMEOUT = env.float("LLM_TIMEOUT", default=20.0)
LLM_ATTEMPTS = env.int("LLM_ATTEMPTS", default=3)
LLM_QUESTIONS_PER_RUN = env.int("LLM_QUESTIONS_PER_RUN", default=100)
# Learning from feedback each night, besides whenever somebody asks for it. The application may do so itself.
LEARNING_NIGHTLY = env.bool("LEARNING_NIGHTLY", default=False)
if LEARNING_NIGHTLY:
    CELERY_BEAT_SCHEDULE["learn-from-feedback"] = {
        "task": "ai_tuning.tasks.learn_nightly",
        "schedule": crontab(hour=2, minute=30),
        "options": {"expires": 12 * 3600},
    }

# --- Logging: one JSON object a line on stdout, each with the request's id ------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "sigmasight.lib.requestid.RequestIdFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "at",
        },
        "text": {"format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {
        "stdout": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "filters": ["request_id"],
            "formatter": env.str("LOG_FORMAT", default="json"),
        }
    },
    "root": {"handlers": ["stdout"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"level": "INFO"},
        "django.server": {"level": "WARNING", "handlers": ["stdout"], "propagate": False},
        "axes": {"level": "WARNING"},
    },
}
