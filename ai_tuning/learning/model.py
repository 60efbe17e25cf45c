"""A language model behind any OpenAI-compatible address: one question, one answer as JSON, or an error that says why.

The standard library is enough for one POST. Redirects are not followed, or the key would go along.
"""

from __future__ import annotations

import http.client
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message as Headers
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings

log = logging.getLogger(__name__)

LARGEST_ANSWER = 1_000_000
LONGEST_WAIT = 20.0
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class ModelError(Exception):
    """The model could not be heard, or said something that can't be used. The text is fit for an admin to read."""


class ModelAwayError(ModelError):
    """It could not be heard at all: others need not try either."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Where the model is and how long to wait for it. `pause` is asked to wait between attempts."""

    base_url: str
    api_key: str
    name: str
    timeout: float = 20.0
    attempts: int = 3
    pause: Callable[[float], None] = time.sleep

    def ask(self, instructions: str, material: str) -> Any:
        """What the model says, parsed as JSON.

        Tries again, each time after twice as long or as the server asks for, where it is busy, failing or not
        reachable. Raises ModelAwayError where that does not help or the server refuses us, ModelError for an answer
        that is none.
        """
        body = json.dumps(
            {
                "model": self.name,
                "temperature": 0.2,
                "response_format": {"type": "json_object"},
                "messages": [{"role": "system", "content": instructions}, {"role": "user", "content": material}],
            }
        ).encode()
        wait, why = 0.5, ""
        for attempt in range(1, max(1, self.attempts) + 1):
            try:
                return _content(self._post(body))
            except HTTPError as error:
                with error:
                    why = f"The language model answered {error.code} {error.reason}".strip()
                    if error.code not in RETRIED:
                        raise ModelAwayError(f"{why}: check LLM_BASE_URL, LLM_MODEL and LLM_API_KEY.") from None
                    wait = max(wait, _asked_for(error.headers))
            except (URLError, TimeoutError, OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", None) or str(error) or type(error).__name__
                why = f"The language model did not answer: {reason}"
            if attempt < self.attempts:
                log.info("%s; attempt %d of %d", why, attempt, self.attempts)
                self.pause(min(wait, LONGEST_WAIT))
                wait *= 2
        raise ModelAwayError(f"{why} ({self.attempts} attempts).")

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "sigmasight-admin"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = Request(f"{self.base_url.rstrip('/')}/chat/completions", body, headers, method="POST")  # noqa: S310
        with _OPENER.open(request, timeout=self.timeout) as answer:
            read: bytes = answer.read(LARGEST_ANSWER + 1)
        if len(read) > LARGEST_ANSWER:
            raise ModelError("The language model’s answer is too large to be one.")
        return read


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Headers, newurl: str
    ) -> Request | None:
        return None


_OPENER = build_opener(_NoRedirect)


def configured(*, attempts: int | None = None) -> LanguageModel | None:
    """The model of the environment (`LLM_BASE_URL`, `LLM_MODEL`, …), or None where none is set."""
    if not settings.LLM_BASE_URL or not settings.LLM_MODEL:
        return None
    return LanguageModel(
        settings.LLM_BASE_URL,
        settings.LLM_API_KEY,
        settings.LLM_MODEL,
        settings.LLM_TIMEOUT,
        settings.LLM_ATTEMPTS if attempts is None else attempts,
    )


def _asked_for(headers: Headers | None) -> float:
    """The seconds of `Retry-After`, 0 where there is none or it is a date."""
    try:
        return max(0.0, float(headers["Retry-After"] or 0 if headers is not None else 0))
    except ValueError:
        return 0.0


def _content(answer: bytes) -> Any:
    """What the model said, out of what its server sent. Raises ModelError."""
    try:
        said = json.loads(answer)["choices"][0]["message"]["content"]
        if not isinstance(said, str):
            raise TypeError("no text")
        text = said.strip()
        # Some wrap JSON into a code block even when asked for JSON alone.
        if text.startswith("```"):
            text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
        return json.loads(text)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ModelError(f"The language model’s answer can’t be read: {type(error).__name__}.") from None
