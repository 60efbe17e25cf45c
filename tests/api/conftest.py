"""Clients of the API, as tests use them: `api.get("/admin/ai/metrics", {"days": 7})`."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.conftest import PASSWORD

ROOT = "/api/v1"


class ApiClient:
    """Calls under /api/v1 and gives Django's response. `token`: sent as the bearer, if there is one."""

    def __init__(self, token: str = "", client: Client | None = None) -> None:
        self.token = token
        # Errors are answers: what a view raises must have become JSON by the time it gets here.
        self.client = client or Client(enforce_csrf_checks=True, raise_request_exception=False)

    def get(self, path: str, query: Any = None, **headers: Any) -> Any:
        return self.call("GET", path, query=query, headers=headers)

    def post(self, path: str, body: Any = None, query: Any = None, **headers: Any) -> Any:
        return self.call("POST", path, body, query, headers)

    def put(self, path: str, body: Any = None, query: Any = None, **headers: Any) -> Any:
        return self.call("PUT", path, body, query, headers)

    def patch(self, path: str, body: Any = None, query: Any = None, **headers: Any) -> Any:
        return self.call("PATCH", path, body, query, headers)

    def delete(self, path: str, query: Any = None, **headers: Any) -> Any:
        return self.call("DELETE", path, None, query, headers)

    def call(self, method: str, path: str, body: Any = None, query: Any = None, headers: Any = None) -> Any:
        """`headers`: as `If_None_Match=…`. `body`: anything that JSON can say, or bytes as they are."""
        sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        given: dict[str, Any] = {"headers": sent, "query_params": query}
        if body is not None:
            given |= {"data": body, "content_type": "application/json"}
        return getattr(self.client, method.lower())(ROOT + path, **given)

    def login(self, email: str, password: str = PASSWORD, **headers: Any) -> Any:
        return self.post("/admin/auth/login", {"email": email, "password": password}, **headers)


def signed_in(email: str) -> ApiClient:
    """A client with the bearer token of this admin, and no cookie."""
    answer = ApiClient().login(email)
    assert answer.status_code == 200, answer.content
    return ApiClient(answer.json()["access_token"])


@pytest.fixture
def anonymous(db: None) -> ApiClient:
    """Somebody outside."""
    return ApiClient()


@pytest.fixture
def api(admin: Any) -> ApiClient:
    """An admin's program."""
    return signed_in(admin.email)


@pytest.fixture
def super_api(super_admin: Any) -> ApiClient:
    """A super admin's program."""
    return signed_in(super_admin.email)
