"""The API itself: django-ninja with this house's errors, JSON and document."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from sigmasight.api.document import Document
from sigmasight.api.errors import handle_errors
from sigmasight.api.wire import Renderer, StrictParser


class HouseAPI(NinjaAPI):
    """A NinjaAPI at `root` (a path from the site's top, with a slash at both ends)."""

    def __init__(self, root: str, **given: Any) -> None:
        super().__init__(openapi_url=None, docs_url=None, renderer=Renderer(), parser=StrictParser(), **given)
        self.root = root

    def set_default_exception_handlers(self) -> None:
        handle_errors(self)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        return Document(self, path_prefix or self.root.lstrip("/"))


def is_api(request: HttpRequest) -> bool:
    """Whether a request is for the API: its answers are JSON, whatever happens."""
    return request.path_info.startswith("/api/")
