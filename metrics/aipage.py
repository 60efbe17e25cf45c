"""All that /admin/ai shows of a period, from one look at it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import QueryDict
from django.utils.timezone import get_current_timezone

from activity import conversations
from activity.people import people
from metrics import ai_charts, pages
from metrics.byperson import top_people
from metrics.figures import RequestRow
from metrics.forms import AIFilterForm
from metrics.oneperson import Bounded, bounded
from metrics.requestrows import requests
from metrics.weekhours import week_hours
from sigmasight.lib.charts import tiny_bars
from sigmasight.lib.chips import Chip, filter_chips
from sigmasight.lib.periods import Period

LISTED = 10
# Of groups of errors, and of failed requests beside them.
GROUPED = 8
FILTERS = {"model": "Model", "error": "Error", "tool": "Tool", "user": "Person"}


def context(period: Period, query: QueryDict) -> dict[str, Any]:
    """Figures, charts and lists of a period, narrowed as the URL says.

    One person's figures come from raw rows, so the period may be cut (`metrics.oneperson`); a list of people then says
    nothing. Requests of one error type are neither slow nor new in any other way: they stand in the failed ones' list.
    """
    form = AIFilterForm(query)
    only = form.as_filter()
    asked = bounded(period, only.user_id) if only.user_id else Bounded(period)
    window = pages.look_at(asked.period, only, is_detailed=True)
    period, look = window.period, window.look
    hrefs = pages.bucket_hrefs(period, query)
    models, tools, errors = look.models(), look.tools(), look.errors()
    lists: dict[str, list[RequestRow]] = {"failed": []}
    if window.summary.failed:
        lists["failed"] = requests(period, only, order="failed", limit=GROUPED)
    if not only.error:
        names = [each.model for each in models]
        lists["slowest"] = requests(period, only, order="slowest", limit=LISTED, models=names)
        lists["newest"] = requests(period, only, limit=LISTED)
    top = None if only.user_id else top_people(look, LISTED)
    met = {only.user_id, *(row.user_id for row in lists["failed"]), *(row.user_id for row in (top.rows if top else ()))}
    who = people(user_id for user_id in met if user_id)
    shown = [row for rows in lists.values() for row in rows]
    told_of = {each.conversation_id for each in errors[:GROUPED] if each.conversation_id}
    costs = {each.model: each for each in look.cost.by_model}
    calls_chart, failures_chart = ai_charts.tool_charts(window, look.tools_by_bucket(), hrefs)
    notes = form.problems()
    choice = next((each for each in ai_charts.CHOICES if each.key == query.get("heat", "")), ai_charts.CHOICES[0])
    if query.get("heat", choice.key) != choice.key:
        notes.append("Hours of the week show requests, errors or latency: choose one of the three.")
    hours = week_hours(period, only, choice.key, tz=get_current_timezone())
    return {
        "period": period,
        "window": window,
        "form": form,
        "notes": notes,
        "person_note": asked.note,
        "person": who.get(only.user_id) if only.user_id else None,
        "user_id": only.user_id,
        "cards": [*pages.request_cards(window), pages.tools_card(window), pages.cost_card(window)],
        "chips": _chips(query, form, who.get(only.user_id) if only.user_id else None),
        "latency_chart": ai_charts.percentiles_chart(window, hrefs),
        "latency_bins": pages.latency_bins(window),
        "first_chart": ai_charts.first_token_chart(window, hrefs),
        "tokens_chart": pages.tokens_chart(window, hrefs),
        "errors_chart": pages.errors_chart(window, look.errors_by_bucket(), hrefs),
        "heat": ai_charts.heat_chart(hours, choice, query, get_current_timezone()),
        "hours": hours,
        "hours_text": ai_charts.span_text(hours),
        "choice": choice,
        "choices": ai_charts.CHOICES,
        "errors": [(each, tiny_bars(each.by_bucket)) for each in errors[:GROUPED]],
        "known_errors": sorted({each.error_type for each in errors if each.error_type != "(other)"}),
        "models": [(each, costs.get(each.model)) for each in models],
        "tools": tools,
        "tool_calls_chart": calls_chart,
        "tool_failures_chart": failures_chart,
        "are_timed": any(each.timed for each in tools),
        "top": top,
        "top_rows": [(row, who.get(row.user_id)) for row in top.rows] if top else [],
        "failed": [(row, who.get(row.user_id) if row.user_id else None) for row in lists["failed"]],
        "slowest": lists.get("slowest"),
        "newest": lists.get("newest"),
        "kept": conversations.kept(told_of | {row.conversation_id for row in shown}),
    }


def _chips(query: QueryDict, form: AIFilterForm, person: Any) -> list[Chip]:
    """The filters in force; a person by name."""
    labels = {name: label for name, label in FILTERS.items() if name not in form.errors}
    chips = filter_chips(query, labels)
    if person is None:
        return chips
    named = f"{FILTERS['user']}: {person.full_name or person.email}"
    return [replace(chip, text=named) if chip.text.startswith(f"{FILTERS['user']}: ") else chip for chip in chips]
