"""Addresses of the embedded servers, derived from the checkout's place alone, so that any terminal finds them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sigmasight.local.places import Places, places

ROLE = "sigmasight"
DATABASES = ("gondola", "metro")


@dataclass(frozen=True, slots=True)
class LocalUrls:
    """What DATABASE_URL, AI_DATABASE_URL and REDIS_URL would say; `redis_url` in redis-py's own form, unix://."""

    database_url: str
    ai_database_url: str
    redis_url: str


def local_urls(base: Path) -> LocalUrls:
    """The addresses `make run` uses for the checkout at `base`. Starts nothing, writes nothing, never fails."""
    return urls_of(places(base))


def urls_of(where: Places) -> LocalUrls:
    """The addresses of one set of servers.

    The form user@//folder/database is the one that django-environ reads back whole: it lower-cases a folder
    written as %2Ffolder in the host's place, since hosts have no case.
    """
    folder = quote(str(where.sockets))
    gondola, metro = (f"postgres://{ROLE}@/{folder}/{name}" for name in DATABASES)
    return LocalUrls(gondola, metro, f"unix://{quote(str(where.redis_socket))}")
