"""A database that does not answer, noted instead of raised: pages come with what the other one knows."""

from __future__ import annotations

import logging
from types import TracebackType

from django.db import OperationalError, connections

log = logging.getLogger(__name__)


class reaching:  # noqa: N801 (reads as a sentence: `with reaching("metro") as metro:`)
    """Within, nothing but that database is asked. Where it is away, the rest of the block is left out, `away` is set,
    and a warning is logged: whoever looks after it should not have to learn of it from a page."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.away = False

    def __enter__(self) -> reaching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, OperationalError):
            return False
        self.away = True
        connections[self.alias].close()
        log.warning("%s does not answer: %s", self.alias, " ".join(str(error).split()))
        return True
