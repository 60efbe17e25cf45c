"""Every template compiles, and no link of a page is dead."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.utils import timezone

from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import read

ROOT = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.html"))
MOST = 60  # links followed from one page, evenly chosen: those of a chart's buckets are many and alike


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_compiles(name):
    get_template(name)


def test_there_are_templates():
    assert len(TEMPLATES) > 30


@pytest.fixture
def seeded(db: None) -> str:
    """A house with one of everything, and the address of its one conversation."""
    moment = timezone.now() - dt.timedelta(hours=2)
    user = UserFactory(created_at=moment)
    PortfolioFactory(user=user)
    answer = talk("What is my beta?", user_id=user.pk, created_at=moment)
    for code in ("CSV_PARSE", "odd / code & more"):
        EventFactory(user_id=user.pk, error_code=code)
    for model in ("gpt-5", "odd / model & more?"):
        for error in (None, "api_failure", "odd # error"):
            AIRequestFactory(
                conversation_id=answer.conversation_id,
                message_id=answer.pk,
                model=model,
                error_type=error,
                total_latency_ms=900,
                first_token_ms=90,
                input_tokens=10,
                output_tokens=1,
                tool_calls=[{"name": "get_positions"}, {"name": "odd & tool"}],
                created_at=moment,
            )
    AIRequestFactory(total_latency_ms=100)  # of a conversation that was not kept
    for status in ("completed", "failed", "running"):
        BatchRunFactory(status=status)
    FeedbackFactory(message_id=answer.pk, comment="No.", edited_text="See [here](https://example.com/).")
    AnnotationFactory(message_id=answer.pk)
    DocumentFactory()
    return f"/admin/ai/conversations/{answer.conversation_id}"


PAGES = (
    "/admin",
    "/admin?period=30d",
    "/admin?period=custom&from=2026-11-01&to=2026-11-02",
    "/admin/ai",
    "/admin/ai?model=gpt-5&compare=0",
    "/admin/ai?model=none",
    "/admin/ai/conversations",
    "/admin/ai/conversations?q=beta&rating=down&after=gone",
    "/admin/batch",
    "/admin/users",
    "/admin/onboarding",
    "/admin/onboarding/events",
    "/admin/account",
    "conversation",
)


@pytest.mark.django_db(databases=["default", "metro"])
@pytest.mark.parametrize("url", PAGES)
def test_no_link_of_a_page_is_dead(as_super_admin, seeded, url):
    url = seeded if url == "conversation" else url
    page = read(as_super_admin.get(url))
    links = {urljoin(f"http://testserver{url}", link) for link in page.links}
    inside = sorted(link for link in links if urlsplit(link).netloc == "testserver")
    assert len(inside) > 5
    for link in inside[:: -(-len(inside) // MOST)]:
        path, query, fragment = urlsplit(link).path, urlsplit(link).query, urlsplit(link).fragment
        assert path.startswith(("/admin", "/api/v1/docs")), link
        response = as_super_admin.get(f"{path}?{query}", follow=True)
        assert response.status_code < 400, (response.status_code, link)
        if fragment:
            assert f'id="{fragment}"' in response.content.decode(), link
