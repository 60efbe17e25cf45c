"""What may be concluded from counts, what can be seen in a text, and what an edit did to it."""

from __future__ import annotations

import random
import time
import uuid

import pytest

from ai_tuning.learning import patterns
from ai_tuning.learning.comments import complaints_in
from ai_tuning.learning.edits import edit_of
from ai_tuning.learning.intervals import contrast, wilson_lower
from ai_tuning.learning.patterns import find_patterns, rules_of
from ai_tuning.learning.reading import Observation
from ai_tuning.learning.traits import SHORTER, Answer, traits_of


def seen(up=True, traits=(), complaints=None, edit=None, user=None):
    whose = uuid.UUID(int=user) if user is not None else uuid.UUID(int=1)
    return Observation(uuid.uuid4(), whose, up, frozenset(traits), complaints, edit)


def named(found, key):
    return next((each for each in found if each.key == key), None)


@pytest.mark.parametrize(
    ("hits", "of", "low"), [(0, 0, 0.0), (0, 5, 0.0), (3, 3, 0.6462), (9, 10, 0.7176), (60, 100, 0.5359)]
)
def test_wilsons_lower_bound_holds_for_few_and_for_many(hits, of, low):
    assert wilson_lower(hits, of) == pytest.approx(low, abs=0.002)


def test_wilsons_bound_grows_with_what_is_known_and_never_reaches_the_share():
    bounds = [wilson_lower(n, n) for n in (1, 3, 10, 100, 10_000)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < 1
    # z = 1.96: the bound of 81 of 263 in Newcombe (1998).
    assert wilson_lower(81, 263, 1.959964) == pytest.approx(0.2553, abs=0.0001)


def test_a_contrast_has_the_odds_ratio_of_its_table_with_half_an_observation_in_each_cell():
    found = contrast(down_with=30, up_with=10, down_without=20, up_without=40)
    assert (found.share_with, found.share_without) == (0.75, pytest.approx(1 / 3))
    assert found.odds_ratio == pytest.approx(30.5 * 40.5 / (10.5 * 20.5))
    assert found.low < found.odds_ratio < found.high
    assert found.low > 1
    assert found.p < 0.001


def test_a_contrast_of_nothing_is_none():
    found = contrast(0, 0, 0, 0)
    assert (found.odds_ratio, found.p, found.confidence(10)) == (1.0, 1.0, 0.0)


def test_chance_alone_seldom_makes_a_pattern():
    chance = random.Random(4)
    names = ("table", "hedging", "bullets", "used_tools", "slow", "topic_risk", "topic_news")
    false = 0
    for _ in range(200):
        observed = [seen(chance.random() < 0.6, [name for name in names if chance.random() < 0.4]) for _ in range(60)]
        false += bool(find_patterns(observed, 0.9))
    assert false <= 200 * 0.1


TABLE = "| sector | weight |\n|---|---|\n| tech | 40% |\n| energy | 12% |"


@pytest.mark.parametrize(
    ("text", "trait"),
    [
        (TABLE, "table"),
        ("- one thing\n- another thing\n- a third", "bullets"),
        ("1. one\n2. two\n3. three", "bullets"),
        ("# Risk\nHigh.\n## Return\nLow.", "headings"),
        ("```\nbeta = 1\n```", "code"),
        ("It might rise, but it could possibly fall.", "hedging"),
        ("This is not financial advice.", "disclaimer"),
        ("I’m sorry about that.", "apology"),
        ("I can't access your portfolio.", "refusal"),
        ("Shall I compare it with the index?", "closing_question"),
        ("Beta 1.12, vol 18.3%, VaR $4,210, drawdown -12%, Sharpe 0.9.", "many_numbers"),
        ("word " * 300, "long"),
        ("Brief.", "short"),
        ("Your drawdown was small.", "topic_risk"),
    ],
)
def test_a_trait_is_seen_in_a_text_and_not_in_a_plain_one(text, trait):
    assert trait in traits_of(Answer(text))
    assert trait not in traits_of(Answer("Everything is fine with what you hold. " * 12))


def test_how_an_answer_came_about_is_seen_without_any_text():
    assert traits_of(Answer("  ", used_tools=True, failed=True, latency_ms=60_000)) == {"used_tools", "failed", "slow"}
    assert traits_of(Answer("", latency_ms=None)) == frozenset()


@pytest.mark.parametrize(
    "text",
    ["-" * 50_000, "| " * 50_000, "1" * 50_000, "a-" * 50_000, "\n" * 50_000, "consult a " * 9_000, "# " * 30_000],
)
def test_no_text_takes_long_to_look_at(text):
    began = time.process_time()
    traits_of(Answer(text))
    edit_of(text, text[:-2] + " changed")
    assert time.process_time() - began < 2


def test_an_edit_that_changes_nothing_but_space_is_none():
    assert edit_of("Your beta is 1.1.", "Your  beta\nis 1.1.") is None
    assert edit_of("", "Something") is None
    assert edit_of("Something", "...") is None


def test_an_edit_says_what_became_of_the_wording():
    found = edit_of(
        "Please note that your equity exposure is substantial and the volatility is elevated.",
        "Your equity exposure is large and the volatility is elevated.",
    )
    assert found is not None
    assert ("substantial", "large") in found.swapped
    assert "please note that" in found.dropped
    assert found.said("equity exposure")
    assert not found.said("equity expo")


def test_figures_and_filler_words_are_no_wording():
    found = edit_of("The beta is 1.10 for the fund", "A beta is 1.12 for a fund")
    assert found is not None
    assert found.swapped == frozenset()


def test_an_edit_knows_its_length_and_its_form():
    found = edit_of(TABLE + " and more words on it besides", "Tech is 40% of it.")
    assert found is not None
    assert found.shortened
    assert not found.lengthened
    assert "table" in found.before - found.after
    longer = edit_of("Beta is high.", "Beta is high because you hold few but volatile names.")
    assert longer is not None
    assert longer.lengthened


@pytest.mark.parametrize(
    ("comment", "names"),
    [
        ("way too long, please be more concise", {"too_long"}),
        ("The numbers are wrong and outdated", {"wrong", "outdated"}),
        ("You didn't answer my question", {"beside_the_point"}),
        ("no idea what this jargon means", {"unclear"}),
        ("nice", set()),
        ("", set()),
    ],
)
def test_a_comment_complains_of_what_it_says(comment, names):
    assert complaints_in(comment) == names


def test_fewer_than_three_thumbs_say_nothing():
    assert find_patterns([seen(False, ["table"])] * 2, 0.0) == []


def test_what_people_dislike_is_found_with_counts_and_samples():
    bad = [seen(False, ["table"]) for _ in range(12)]
    good = [seen(True, []) for _ in range(12)]
    found = named(find_patterns([*bad, *good], 0.7), "rated:table")
    assert found is not None
    assert (found.hits, found.of, found.share, found.baseline) == (12, 12, 1.0, 0.0)
    assert found.method == "log_odds"
    assert found.rule == "Avoid tables: say it in sentences or a short list."
    assert found.low > 1
    assert found.samples == tuple(each.message_id for each in bad[:5])


def test_what_people_like_leads_to_the_opposite_rule():
    observed = [seen(True, ["table"]) for _ in range(12)] + [seen(False, []) for _ in range(12)]
    found = named(find_patterns(observed, 0.7), "rated:table")
    assert found is not None
    assert (found.direction, found.rule) == ("more", "Show figures that belong together as a table.")


def test_what_no_rule_can_change_is_a_finding_only():
    observed = [seen(False, ["slow"]) for _ in range(12)] + [seen(True, []) for _ in range(12)]
    found = named(find_patterns(observed, 0.7), "rated:slow")
    assert found is not None
    assert found.rule is None
    assert rules_of([found]) == []


def edits(count, old, new, users=1):
    made = []
    for n in range(count):
        edit = edit_of(old, new)
        assert edit is not None
        made.append(seen(False, edit=edit, user=n % users))
    return made


def test_edits_that_shorten_again_and_again_become_a_rule():
    found = find_patterns(edits(9, "word " * 100, "word " * 30), 0.7)
    pattern = named(found, "edit:shorten")
    assert pattern is not None
    assert (pattern.hits, pattern.of, pattern.rule, pattern.method) == (9, 9, SHORTER, "wilson")
    assert named(find_patterns(edits(4, "word " * 100, "word " * 30), 0.75), "edit:shorten") is None


def test_rules_that_contradict_each_other_are_not_both_made():
    observed = [
        *edits(9, "word " * 100, "word " * 30),
        *[seen(False, complaints=frozenset({"too_short"})) for _ in range(4)],
    ]
    found = find_patterns(observed, 0.5)
    assert {each.direction for each in found if each.dimension == "length" and each.rule} == {"shorter", "longer"}
    (rule,) = [each for each in rules_of(found) if each.dimension == "length"]
    assert rule.direction == "shorter"


def test_wording_that_is_replaced_again_and_again_becomes_a_rule():
    found = find_patterns(edits(6, "Your holdings look substantial today.", "Your holdings look large today."), 0.6)
    pattern = named(found, "edit:say:substantial:large")
    assert pattern is not None
    assert pattern.rule == "Say “large”, not “substantial”."
    assert (pattern.hits, pattern.of) == (6, 6)


def test_one_person_alone_puts_no_words_into_everybodys_answers():
    texts = ("Your holdings look substantial today.", "Your holdings look bribed today.")
    alone = find_patterns(edits(20, *texts, users=2), 0.5, of_everybody=True)
    assert not [each for each in alone if each.category == "wording"]
    several = find_patterns(edits(20, *texts, users=patterns.PEOPLE_FOR_WORDING), 0.5, of_everybody=True)
    assert [each for each in several if each.category == "wording"]


def test_braces_in_wording_are_only_braces():
    observed = edits(6, "Your holdings look {hits} substantial {x today.", "Your holdings look {of} large {x today.")
    assert find_patterns(observed, 0.0)


def test_the_surest_pattern_comes_first():
    observed = [
        *edits(12, "word " * 100, "word " * 30),
        *[seen(False, complaints=frozenset({"wrong"} if n < 4 else ())) for n in range(8)],
    ]
    found = find_patterns(observed, 0.0)
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)
    assert all(0 <= each.confidence < 1 for each in found)
