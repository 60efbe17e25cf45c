"""What the AI knows and remembers: documents and memories, and a few judgements of the first admin."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from admin_portal.demo.people import OLDER, person
from admin_portal.demo.plan import Plan, draw, generator, metro_id
from admin_portal.demo.sink import Sink
from sigmasight.lib.copying import line

_SUBJECTS = (
    ("Beta", "how strongly a position moves with the index, from 252 daily returns"),
    ("Sector weights", "the share of each GICS sector, looking through funds once a quarter"),
    ("Factor exposures", "the loadings on market, size, value, momentum, quality and low volatility"),
    ("Dividend yield", "the sum of the last four payments over the last close"),
    ("Covered calls", "a short call against shares that are held, and what assignment means"),
    ("Wash sales", "why a loss is disallowed when the same security is bought within 30 days"),
    ("Correlation", "how two positions move together over 90 trading days"),
    ("Stress tests", "what a shock to equities, rates or the dollar would have done"),
    ("Time-weighted return", "performance without the effect of deposits and withdrawals"),
    ("Unrealised gain", "market value less cost, lots matched first-in, first-out"),
    ("Currency exposure", "where the companies earn, not where they are listed"),
    ("Rebalancing", "the smallest set of trades that brings weights back to a target"),
)
_KINDS = (
    ("How {0} is computed", "global", "definition"),
    ("{0}: common questions", "page:portfolio", "faq"),
    ("{0} on the risk page", "page:risk-metrics", "help"),
    ("Where to find {0}", "route:/portfolio", "help"),
    ("A good answer about {0}", "feedback:positive_example", "example"),
)
_MEMORIES = (
    ("Prefers figures in euros.", "preference"), ("Wants short answers, table first.", "style"),
    ("Holds no tobacco or weapons on principle.", "constraint"), ("Sold NVDA in May; do not count it.", "fact"),
    ("Files taxes in Germany.", "fact"), ("Writes covered calls monthly, 5 % out of the money.", "strategy"),
    ("Retires in 2031; draws 3.5 % a year from then.", "goal"),
    ("Compares with VTI, not with the S&P 500.", "preference"),
    ("Calls the Roth account “the long one”.", "vocabulary"), ("Does not want to be told to see an adviser.", "style"),
)  # fmt: skip
_RULES = (
    ("Say how old the figures are when last night’s batch failed.", "rule"),
    ("Never name a position that the tools did not return.", "rule"),
    ("Give amounts in the portfolio’s currency.", "rule"),
    ("One table at most, of at most eight rows.", "rule"),
)
_JUDGEMENTS = (
    ("correction", "moderate", ["stale-data", "contradicts-own-table"], "pending",
     "Blames a position the user no longer holds. The tool result was right; the prose ignored it."),
    ("flag", "critical", ["stale-data"], "pending", "Prices of two days ago, given as today’s."),
    ("improvement", "minor", ["tone"], "reviewed", "Right, but the first sentence should hold the figure."),
    ("approved", None, ["complete"], "applied", "A model answer: figure, table, age of the data."),
    ("improvement", "minor", ["length"], "pending", "Three lists where one would do."),
    ("correction", "critical", ["accuracy"], "reviewed", "Unit is wrong: percent, not points."),
)  # fmt: skip


def _id(plan: Plan, *what: object) -> str:
    return metro_id(plan.seed, int.from_bytes(draw(plan.seed, *what)[:9]))


def write_knowledge(plan: Plan, sink: Sink) -> None:
    """Sixty documents and the memories. Embeddings are left empty: nobody computed any."""
    chance = generator(plan.seed, "knowledge")
    for number in range(60):
        subject, what = _SUBJECTS[number % 12]
        title, scope, kind = _KINDS[number // 12]
        word = subject if title.startswith("{0}") else subject[0].lower() + subject[1:]
        at = plan.start - dt.timedelta(hours=chance.uniform(1, 3000))
        changed = min(plan.end, at + dt.timedelta(hours=chance.uniform(0, 3600)))
        content = (
            f"# {title.format(word)}\n\n**{subject}** is {what}.\n\n"
            f"- Refreshed every night by `phase_{chance.choice(('3_factors', '4_correlations', '3_snapshots'))}`.\n"
            f"- Positions with fewer than {chance.choice((60, 90, 120))} days of prices are left out, and named.\n"
            f"- In answers: give the figure first, then how it came about, then the day it is of.\n\n"
            f"Example: “{subject} of {chance.uniform(0.2, 34):.1f}, as of yesterday’s close.”"
        )
        metadata = {"kind": kind, "version": chance.randint(1, 6), "author": "content team"}
        sink.add(
            "ai_kb_documents",
            line(_id(plan, "document", number), scope, title.format(word), content, metadata, at, changed),
        )
    for number in range(len(_RULES) + min(400, plan.older // 4)):
        rule = number < len(_RULES)
        text, category = _RULES[number] if rule else chance.choice(_MEMORIES)
        who = None if rule else person(plan.seed, OLDER, chance.randrange(plan.older)).id
        tags = {
            "category": category,
            "source": "admin" if rule else chance.choice(("conversation", "conversation", "feedback")),
            "confidence": 1.0 if rule else round(chance.uniform(0.55, 0.98), 2),
        }
        at = plan.start + (plan.end - plan.start) * chance.random()
        scope = "global" if rule else "user"
        sink.add("ai_memories", line(_id(plan, "memory", number), who, scope, text, tags, at))


def write_annotations(plan: Plan, sink: Sink, admin: UUID, answers: list[tuple[UUID, dt.datetime]]) -> None:
    """A few judgements by `admin` of these answers (id and time), some hours after each."""
    for number, (answer, said) in enumerate(answers):
        kind, severity, tags, status, text = _JUDGEMENTS[number % len(_JUDGEMENTS)]
        at = min(plan.end, said + dt.timedelta(hours=3 + number % 20))
        identifier = _id(plan, "annotation", answer)
        sink.add(
            "ai_admin_annotations",
            line(identifier, answer, admin, kind, text, None, severity, tags, status, at, at),
        )
