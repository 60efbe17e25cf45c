"""What requests cost: exact to the last decimal, and honest about what nobody can know."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Context, Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from activity.rollups import EVENTS
from admin_portal.demo.prices import NOTE, write_prices
from metrics.models import AIRequest
from metrics.prices import MEASURES, Cost, Price, PriceList, Usage, cost, cost_by_model, cost_of, price_list
from metrics.rollup_models import ModelPrice
from metrics.rollups import REQUEST_SOURCE, REQUESTS, TOOLS
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.read import read
from tests.factories.metrics import AIRequestFactory, random_requests
from tests.lib.rollups.oracle import floor

DAY = dt.date(2026, 11, 1)
AT = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=34, second=56, microsecond=0) - dt.timedelta(days=1)
ONE, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
EXACT = Context(prec=100)


def price(model: str, tokens_in: str, cached: str | None, out: str, since: dt.date = dt.date(2020, 1, 1)) -> Price:
    return Price(model, since, Decimal(tokens_in), Decimal(tokens_in if cached is None else cached), Decimal(out))


def used(tokens_in: int = 0, cached: int = 0, out: int = 0, requests: int = 1) -> Usage:
    return Usage(requests, tokens_in, cached, out, requests, requests)


def usd_of(usage: Usage, *prices: Price, model: str = "gpt-5", at: dt.datetime = AT) -> Decimal:
    return cost([(at, model, usage)], PriceList(prices)).usd


# ---- which price ----


def test_a_models_own_name_beats_every_beginning() -> None:
    prices = PriceList((price("gpt-5", "1", None, "1"), price("gpt*", "2", None, "2"), price("gpt-5*", "3", None, "3")))
    found = {model: prices.price(model, DAY) for model in ("gpt-5", "gpt-5-mini", "gpt-4", "claude", "GPT-5", "")}
    assert {model: each and each.model for model, each in found.items()} == {
        "gpt-5": "gpt-5", "gpt-5-mini": "gpt-5*", "gpt-4": "gpt*", "claude": None, "GPT-5": None, "": None,
    }  # fmt: skip


def test_a_star_alone_is_for_all_models() -> None:
    prices = PriceList((price("*", "1", None, "1"),))
    assert prices.price("whatever", DAY) is not None
    assert prices.price("", DAY) is not None


def test_a_price_holds_from_its_day_on_and_until_the_next() -> None:
    prices = PriceList(
        (
            price("m", "3", None, "3", DAY + ONE),
            price("m", "1", None, "1", DAY),
            price("m", "9", None, "9", DAY + 9 * ONE),
        )
    )
    found = [prices.price("m", DAY + n * ONE) for n in (-1, 0, 1, 8, 9, 400)]
    assert [each and each.input for each in found] == [None, 1, 3, 3, 9, 9]


def test_before_its_own_price_begins_a_model_costs_what_its_beginning_costs() -> None:
    prices = PriceList((price("gpt-5", "1", None, "1", DAY), price("gpt*", "7", None, "7")))
    assert [prices.price("gpt-5", DAY - ONE).input, prices.price("gpt-5", DAY).input] == [7, 1]  # type: ignore[union-attr]


def test_a_model_whose_name_ends_in_a_star_is_no_beginning() -> None:
    prices = PriceList((price("odd*", "1", None, "1"),))
    assert prices.price("odd*", DAY) is prices.price("odder", DAY)


# ---- what it comes to ----


def test_cached_tokens_are_not_paid_for_twice() -> None:
    usage = used(tokens_in=1_000_000, cached=400_000, out=100_000)
    assert usd_of(usage, price("gpt-5", "1.25", "0.125", "10")) == Decimal("0.75") + Decimal("0.05") + Decimal(1)


def test_cached_tokens_without_a_price_of_their_own_cost_as_much_as_others() -> None:
    usage = used(tokens_in=1_000_000, cached=400_000)
    assert usd_of(usage, price("gpt-5", "2", None, "10")) == 2


def test_what_the_cache_saved_is_told() -> None:
    found = cost([(AT, "m", used(1_000_000, 400_000))], PriceList((price("m", "2", "0.5", "1"),)))
    assert found.saved_by_cache == found.by_model[0].saved_by_cache == Decimal("0.6")


def test_more_cached_than_came_in_counts_as_all_of_it_and_is_noted() -> None:
    prices = PriceList((price("m", "2", "1", "1"),))
    found = cost([(AT, "m", used(1_000_000, 5_000_000)), (AT + ONE, "m", used(1_000_000, 1_000_000))], prices)
    assert found.usd == 2
    assert found.too_much_cached == (("m", DAY),)


def test_negative_tokens_earn_nothing() -> None:
    prices = price("m", "2", "1", "1")
    assert usd_of(Usage(1, -5, -7, -9, 1, 1), prices, model="m") == 0
    assert usd_of(Usage(1, -5, 7, 0, 1, 1), prices, model="m") == 0


def test_sums_are_exact_where_floats_and_usual_decimals_are_not() -> None:
    smallest = price("m", "0.000001", None, "999999.999999")
    assert usd_of(used(tokens_in=1), smallest, model="m") == Decimal("1E-12")
    huge = usd_of(used(tokens_in=1, out=10**18), smallest, model="m")
    assert huge == EXACT.create_decimal("999999999999000000.000000000001")


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**15)), max_size=8))
def test_a_total_is_what_its_parts_come_to(tokens: list[tuple[int, int, int]]) -> None:
    prices = PriceList((price("m*", "1.234567", "0.000003", "98765.4321"),))
    found = cost([(AT + n * ONE, f"m{n % 3}", used(*each)) for n, each in enumerate(tokens)], prices)
    for parts in ([each.usd for each in found.by_model], list(found.by_bucket.values())):
        total = Decimal(0)
        for part in parts:
            total = EXACT.add(total, part)
        assert total == found.usd


def test_the_dearest_model_comes_first() -> None:
    prices = PriceList((price("a", "1", None, "1"), price("b", "9", None, "9")))
    found = cost([(AT, model, used(1_000_000)) for model in ("a", "b", "none")], prices)
    assert [each.model for each in found.by_model] == ["b", "a", "none"]


def test_nothing_used_costs_nothing_and_is_complete() -> None:
    found = cost([], PriceList())
    assert [found.usd, found.by_model, found.by_bucket, found.coverage, found.is_complete] == [0, (), {}, None, True]


# ---- what nobody knows ----


def test_a_model_without_a_price_is_named_with_what_it_used() -> None:
    found = cost(
        [(AT, "new", used(10, 2, 5, requests=7)), (AT, "m", used(10))], PriceList((price("m", "1", None, "1"),))
    )
    (unpriced,) = found.unpriced
    assert [unpriced.model, unpriced.unpriced, unpriced.usd] == ["new", used(10, 2, 5, requests=7), 0]
    assert not found.is_complete
    assert found.coverage == 1 / 8


def test_days_before_the_first_price_are_told_apart_from_those_after() -> None:
    prices = PriceList((price("m", "1", None, "1", DAY + ONE),))
    found = cost([(AT + n * ONE, "m", used(1_000_000, requests=n + 1)) for n in range(3)], prices)
    (model,) = found.by_model
    assert [model.usd, model.usage.requests, model.unpriced.requests, model.is_priced] == [2, 6, 1, False]
    assert found.by_bucket == {AT: 0, AT + ONE: 1, AT + 2 * ONE: 1}


def test_requests_nobody_counted_are_told_and_not_taken_for_free() -> None:
    usage = Usage(requests=10, input=1_000_000, output=0, input_counted=9, output_counted=6)
    found = cost([(AT, "m", usage)], PriceList((price("m", "1", None, "1"),)))
    assert (found.without_input, found.without_output, found.known) == (1, 4, 6)
    assert found.coverage == 0.6
    assert not found.is_complete


# ---- over rows ----


def oracle(rows: list[AIRequest], prices: list[ModelPrice], start: dt.datetime, end: dt.datetime) -> dict[Any, Decimal]:
    """USD by model and UTC day, in plain decimals; None: no price."""
    sums: dict[tuple[str, dt.date], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        if start <= row.created_at < end:
            for place, tokens in enumerate((row.input_tokens, row.cached_tokens, row.output_tokens)):
                sums[row.model, row.created_at.date()][place] += tokens or 0
    found: dict[Any, Any] = {}
    for (model, day), (tokens_in, cached, out) in sums.items():
        fitting = [
            each
            for each in prices
            if each.effective_from <= day
            and (each.model == model or (each.model.endswith("*") and model.startswith(each.model[:-1])))
        ]
        if not fitting:
            found[model, day] = None
            continue
        best = max(fitting, key=lambda each: (each.model == model, len(each.model), each.effective_from))
        cached_price = best.input if best.cached_input is None else best.cached_input
        cached = min(cached, tokens_in)
        parts = ((tokens_in - cached, best.input), (cached, cached_price), (out, best.output))
        total = Decimal(0)
        for tokens, each in parts:
            total = EXACT.add(total, EXACT.multiply(Decimal(tokens), each))
        found[model, day] = EXACT.divide(total, Decimal(1_000_000))
    return found


def some_prices() -> list[ModelPrice]:
    today = NOW.date()
    rows = [
        ("gpt-5", today - 30 * ONE, "1.25", "0.125", "10"),
        ("gpt-5", today - 2 * ONE, "1.100001", None, "8.5"),
        ("gpt*", today - 4 * ONE, "0.25", "0.025", "2.000001"),
        ("claude*", today - 3 * ONE, "15", "1.5", "75"),
        ("claude-opus*", today - ONE, "5", "0", "0"),
    ]
    made = [
        ModelPrice(
            model=model,
            effective_from=since,
            input=Decimal(tokens_in),
            cached_input=cached and Decimal(cached),
            output=Decimal(out),
        )
        for model, since, tokens_in, cached, out in rows
    ]
    return ModelPrice.objects.bulk_create(made)


@pytest.mark.django_db
@pytest.mark.parametrize("is_filled", [False, True])
@pytest.mark.parametrize("bucket", ["day", "hour"])
def test_it_is_what_plain_decimals_make_of_the_rows(is_filled: bool, bucket: Any) -> None:
    prices = some_prices()
    rows = random_requests(random.Random(3), 400, NOW - 6 * ONE, NOW + HOUR)
    if is_filled:
        fill(REQUEST_SOURCE, NOW, budget=None)
    for start, end in ((NOW - 7 * ONE, NOW + ONE), (NOW - 3 * ONE, NOW - 31 * HOUR), (NOW - HOUR, NOW)):
        found = cost_of(read(REQUESTS, start, end, bucket=bucket, names=MEASURES))
        right = oracle(rows, prices, start, end)

        by_model: dict[str, Decimal] = defaultdict(Decimal)
        by_day: dict[dt.date, Decimal] = defaultdict(Decimal)
        total = Decimal(0)
        for (model, day), each in right.items():
            by_model[model] = EXACT.add(by_model[model], each or Decimal(0))
            by_day[day] = EXACT.add(by_day[day], each or Decimal(0))
            total = EXACT.add(total, each or Decimal(0))
        assert found.usd == total
        assert {each.model: each.usd for each in found.by_model} == by_model
        assert {at.date(): each for at, each in found.by_bucket.items()} == by_day
        assert {each.model for each in found.unpriced} == {model for (model, _), each in right.items() if each is None}
        assert found.usage.requests == sum(1 for row in rows if start <= row.created_at < end)


@pytest.mark.django_db
def test_hours_cost_what_their_day_does_over_a_change_of_price() -> None:
    day = NOW.date()
    ModelPrice.objects.create(model="m", effective_from=day - ONE, input=1, output=1)
    ModelPrice.objects.create(model="m", effective_from=day, input=2, output=2)
    midnight = floor(NOW, "day")
    for hours in (-2, -1, 0, 1):
        AIRequestFactory(model="m", input_tokens=1_000_000, output_tokens=0, created_at=midnight + hours * HOUR)
    fill(REQUEST_SOURCE, NOW, budget=None)

    found = cost_of(
        read(REQUESTS, midnight - ONE, NOW, bucket="hour", names=MEASURES), cut=lambda at: floor(at, "hour")
    )

    assert {(at - midnight) / HOUR: each for at, each in found.by_bucket.items()} == {-2: 1, -1: 1, 0: 2, 1: 2}
    assert [found.usd, found.is_complete] == [6, True]


@pytest.mark.django_db
def test_a_price_that_is_mended_changes_the_past() -> None:
    AIRequestFactory(model="m", input_tokens=1_000_000, created_at=NOW - 9 * ONE)
    fill(REQUEST_SOURCE, NOW, budget=None)

    def told() -> Cost:
        return cost_of(read(REQUESTS, NOW - 20 * ONE, NOW, names=MEASURES))

    assert [told().usd, len(told().unpriced)] == [0, 1]
    row = ModelPrice.objects.create(model="m", effective_from=NOW.date() - 30 * ONE, input=3, output=1)
    assert [told().usd, told().unpriced] == [3, ()]
    ModelPrice.objects.filter(pk=row.pk).update(input=4)
    assert told().usd == 4


@pytest.mark.django_db
def test_a_days_cost_by_model_leaves_out_what_nobody_knows() -> None:
    midnight = floor(NOW, "day")
    for at in (midnight, midnight - dt.timedelta(microseconds=1), midnight + ONE):
        AIRequestFactory(model="m", input_tokens=1_000_000, created_at=at)
    AIRequestFactory(model="unpriced", input_tokens=1_000_000, created_at=midnight)

    assert cost_by_model(midnight.date()) is None
    ModelPrice.objects.create(model="m", effective_from=midnight.date(), input=3, output=1)
    assert cost_by_model(midnight.date()) == {"m": Decimal(3)}
    assert cost_by_model(midnight.date() - ONE) is None


@pytest.mark.django_db
def test_a_page_pays_one_query_for_prices(django_assert_num_queries: Any) -> None:
    some_prices()
    reading = read(REQUESTS, NOW - ONE, NOW, names=MEASURES)
    with django_assert_num_queries(1):
        cost_of(reading)
    prices = price_list()
    with django_assert_num_queries(0):
        cost_of(reading, prices=prices)


@pytest.mark.django_db
def test_a_reading_that_lacks_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold cached_tokens, input_counted"):
        cost_of(read(REQUESTS, NOW - ONE, NOW, names=("requests", "output_counted", "output_tokens", "input_tokens")))
    with pytest.raises(ValueError, match=r"activity\.events can't be priced"):
        cost_of(read(EVENTS, NOW - ONE, NOW))


@pytest.mark.django_db
def test_the_requests_that_called_a_tool_have_a_cost_too() -> None:
    assert cost_of(read(TOOLS, NOW - ONE, NOW)).usd == 0


# ---- what an admin types ----

TYPED = {
    "model": "gpt-5",
    "effective_from": "2026-11-01",
    "input": "1.25",
    "cached_input": "",
    "output": "10",
    "note": "",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"model": "gpt*5"}, "A * may stand at the end only"),
        ({"model": "gpt**"}, "A * may stand at the end only"),
        ({"model": "   "}, "Say which model"),
        ({"model": ""}, "This field is required"),
        ({"model": "x" * 101}, "at most 100 characters"),
        ({"input": "-1"}, "A price is zero or more"),
        ({"cached_input": "-0.01"}, "A price is zero or more"),
        ({"cached_input": "2"}, "Cached tokens can’t cost more than others"),
        ({"input": "free"}, "Enter a number"),
        ({"input": "NaN"}, "Enter a number"),
        ({"input": "1.1234567"}, "no more than 6 decimal places"),
        ({"input": "1234567"}, "no more than 6 digits before the decimal point"),
        ({"input": ""}, "This field is required"),
        ({"effective_from": "yesterday"}, "Enter a valid date"),
    ],
)
def test_what_can_not_be_a_price_is_refused_with_a_sentence(
    as_super_admin: Any, typed: dict[str, str], told: str
) -> None:
    response = as_super_admin.post(reverse("admin:metrics_modelprice_add"), TYPED | typed)
    assert response.status_code == 200
    assert told in response.content.decode()
    assert "Constraint" not in response.content.decode()
    assert not ModelPrice.objects.exists()


@pytest.mark.django_db
def test_a_price_is_entered_mended_and_taken_away(as_super_admin: Any) -> None:
    add = reverse("admin:metrics_modelprice_add")
    assert as_super_admin.post(add, TYPED | {"model": " gpt-5* "}).status_code == 302
    row = ModelPrice.objects.get()
    assert (row.model, row.cached_input, row.input) == ("gpt-5*", None, Decimal("1.25"))
    assert "already exists" in as_super_admin.post(add, TYPED | {"model": "gpt-5*"}).content.decode()

    change = reverse("admin:metrics_modelprice_change", args=[row.pk])
    assert as_super_admin.post(change, TYPED | {"model": "gpt-5*", "input": "3"}).status_code == 302
    row.refresh_from_db()
    assert row.input == 3

    as_super_admin.post(reverse("admin:metrics_modelprice_delete", args=[row.pk]), {"post": "yes"})
    assert not ModelPrice.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"input": -1}, {"output": -1}, {"cached_input": -1}, {"cached_input": 5}])
def test_the_database_refuses_what_got_past_the_form(wrong: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelPrice.objects.create(**{"model": "m", "effective_from": DAY, "input": 1, "output": 1} | wrong)


def test_a_price_without_numbers_yet_is_no_error_of_ours() -> None:
    with pytest.raises(ValidationError) as found:
        ModelPrice(model="a*b").clean()
    assert set(found.value.message_dict) == {"model"}


# ---- the demo ----


@pytest.mark.django_db
def test_the_demos_models_have_example_prices_and_nobodys_own_are_touched() -> None:
    ModelPrice.objects.create(model="gpt-5", effective_from=DAY, input=7, output=7, note="ours")
    write_prices()
    write_prices()
    assert dict(ModelPrice.objects.values_list("model", "note")) == {
        "gpt-5": "ours", "gpt-5-mini": NOTE, "o4-mini": NOTE, "claude-sonnet": NOTE,
    }  # fmt: skip
