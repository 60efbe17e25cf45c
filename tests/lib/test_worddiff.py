"""Two texts, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.worddiff import WORDS, Segment, word_diff

TEXT = st.lists(st.sampled_from(["a", "b", "sector", " ", "  ", "\n", "ü", "–", "weight.", "\t", "\x1c"])).map("".join)


def sides(segments: list[Segment]) -> tuple[str, str]:
    return (
        "".join(each.text for each in segments if each.kind != "added"),
        "".join(each.text for each in segments if each.kind != "removed"),
    )


@given(TEXT, TEXT)
def test_both_texts_can_be_read_from_it(before: str, after: str) -> None:
    assert sides(word_diff(before, after)) == (before, after)


@given(TEXT)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert {each.kind for each in word_diff(text, text)} <= {"same"}


def test_a_word_that_was_put_in_is_marked_alone() -> None:
    assert word_diff("the weight is 4 %", "the sector weight is 4 %") == [
        Segment("same", "the"),
        Segment("added", " sector"),
        Segment("same", " weight is 4 %"),
    ]


def test_long_texts_are_compared_by_line() -> None:
    before = "one two\n" * WORDS
    after = before + "three four\n"
    assert word_diff(before, after) == [Segment("same", before), Segment("added", "three four\n")]
