"""Snippets: which part of a text is shown, and that it is the text and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activity.snippets import BEGIN, END, SHORT, WIDTH, snippet


def mark(text, *words):
    for word in words:
        text = text.replace(word, f"{BEGIN}{word}{END}")
    return text


def shown(marked, **cut):
    return "".join(segment.text for segment in snippet(marked, **cut))


def hits(marked):
    return [segment.text for segment in snippet(marked) if segment.is_hit]


FILLER = "and so on " * 60


def test_a_short_text_is_shown_whole():
    assert snippet(mark("Is beta high?", "beta")) == (("Is ", False), ("beta", True), (" high?", False))
    assert shown("x" * SHORT) == "x" * SHORT
    assert snippet("") == ()
    assert snippet(" \n\t ") == ()


def test_white_space_becomes_single_spaces():
    assert shown(f"Is\r\n\n {BEGIN}beta{END}\thigh?  ") == "Is beta high?"


def test_of_a_long_text_the_part_with_the_words_is_shown_and_what_is_left_out_is_marked():
    text = shown(mark(FILLER + "the beta is high " + FILLER, "beta"))
    assert "the beta is high" in text
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) <= WIDTH + 2
    assert shown(mark("beta is high " + FILLER, "beta")).startswith("beta is high")
    assert shown(mark(FILLER + "beta is high", "beta")).endswith("beta is high")


def test_a_text_that_was_cut_before_says_so_however_short_it_is():
    assert shown("beta", begins=False, ends=False) == "…beta…"


def test_words_far_apart_are_two_fragments():
    text = shown(mark(f"high prices {FILLER} and {FILLER} a low beta {FILLER}", "high", "beta"))
    assert "high prices" in text
    assert "low beta" in text
    assert text.count("…") == 2  # between the two, and at the end


def test_words_close_together_are_preferred_to_one_alone():
    text = mark(f"beta {FILLER} beta beta beta {FILLER} a high beta {FILLER}", "beta", "high")
    assert "a high beta" in shown(text)
    side_by_side = mark(f"beta and so high {FILLER} a high beta {FILLER}", "beta", "high")
    assert "a high beta" in shown(side_by_side)


def test_where_nothing_is_marked_the_beginning_is_shown():
    assert shown(FILLER).startswith("and so on")
    assert shown(FILLER).endswith("…")
    assert hits(FILLER) == []


@pytest.mark.parametrize(
    "text", ["x" * 9_000, mark("x" * 4_000 + "beta" + "y" * 4_000, "beta"), BEGIN + "x" * 9_000 + END]
)
def test_a_word_that_never_ends_is_cut(text):
    assert 0 < len(shown(text)) <= 2 * WIDTH + 4


@pytest.mark.parametrize("text", [BEGIN, END, END + BEGIN, BEGIN + END, BEGIN * 3 + "a" + END * 3, f"{BEGIN}open"])
def test_marks_out_of_place_harm_nothing(text):
    assert BEGIN not in shown(text)


def test_very_many_hits_take_no_longer_than_a_few():
    segments = snippet(f"{BEGIN}a{END} " * 3_000)
    assert 0 < len(segments) < 2 * WIDTH


@given(
    st.lists(
        st.tuples(st.sampled_from(["beta", "high", "é", "x" * 40, "<b>", "a b", ","]), st.booleans()), max_size=120
    )
)
def test_it_shows_what_is_written_and_a_hit_where_there_is_one(words):
    marked = " ".join(f"{BEGIN}{word}{END}" if is_hit else word for word, is_hit in words)
    plain = " ".join(word for word, _ in words)
    segments = snippet(marked)
    for fragment in "".join(segment.text for segment in segments).replace(" … ", "…").split("…"):
        assert fragment in plain
    assert any(segment.is_hit for segment in segments) == any(is_hit for _, is_hit in words)
    assert all(segment.text for segment in segments)
    assert sum(len(segment.text) for segment in segments) <= max(SHORT, 2 * WIDTH + 5)
