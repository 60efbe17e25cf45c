"""People who did whatever people do, and their list as the page shows it."""

from __future__ import annotations

import datetime as dt
import random
import re

from metrics import keeping
from tests.conftest import TIME_ZERO
from tests.factories.activity import ConversationFactory, EventFactory, PortfolioFactory, UserFactory
from tests.factories.metrics import AIRequestFactory

URL = "/admin/users"
DAY = dt.timedelta(days=1)
ERROR = "onboarding.portfolio_error"


def crowd(people, seed=0):
    """People of up to 40 days ago, who did whatever people do; the funnel has seen it."""
    chance = random.Random(seed)
    for number in range(people):
        at = TIME_ZERO - chance.random() * 40 * DAY
        user = UserFactory(email=f"p{seed}-{number:03}@example.com", created_at=at)
        late = max(at, TIME_ZERO - 29 * DAY)
        if chance.random() < 0.4:
            PortfolioFactory(user=user, created_at=late)
        if chance.random() < 0.4:
            EventFactory(
                user_id=user.pk, event_type="onboarding.portfolio_error", error_code="CSV_UNREADABLE", created_at=late
            )
        for _ in range(chance.choice((0, 0, 1, 3))):
            ConversationFactory(user_id=user.pk, created_at=late)
            AIRequestFactory(user_id=user.pk, created_at=late, error_type=chance.choice((None, "api_failure")))
    keeping.refresh_funnels(dt.datetime.now(dt.UTC))
    keeping.fill_persons(dt.datetime.now(dt.UTC))


def shown(page):
    """The rows of people: name and address, step, signed up, last seen, portfolios, conversations, errors."""
    return [row for row in page.rows if len(row) == 7 and "@" in row[0]]


def addresses(page):
    return re.findall(r'<span class="sub2">([^<]+@[^<]+)</span></div>', page.html)
