"""What holds in people's feedback: found by counting, with a confidence that says how sure one may be.

Two kinds of evidence. A *contrast*: answers with a trait are thumbed down more, or less, often than those without it;
its confidence is that this is no coincidence (`intervals.Contrast.confidence`, over all traits compared). A *share*: of
the edits or comments that could have shown something, so many did; its confidence is the lower bound of that share
(`intervals.wilson_lower`). Both are 0 to 1, and both stay low while there is little to go by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from uuid import UUID

from ai_tuning.learning.comments import COMPLAINTS
from ai_tuning.learning.edits import Edit
from ai_tuning.learning.intervals import contrast, wilson_lower
from ai_tuning.learning.reading import Observation
from ai_tuning.learning.traits import BY_NAME, LONGER, SHORTER, TRAITS

# Fewer thumbs than this say nothing, nor do fewer on either side of a contrast, nor fewer edits or comments.
FEWEST = 3
# A difference in the share of thumbs-down that nobody would notice is none, however sure.
NOTICEABLE = 0.10
# Wording that goes to everybody must come from several people: nobody may put words into all answers alone.
PEOPLE_FOR_WORDING = 3
SAMPLES = 5
COUNTED, MODEL = "pattern_analysis", "llm_extraction"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Something that feedback shows. `content`: in words, for admins. `rule`: what the AI is to do about it, None for a
    mere finding; rules of one `dimension` replace each other, `direction` says which way.

    `method` "log_odds" (a contrast): `share` is that of thumbs-down with the trait, `baseline` without it, and `low` to
    `high` the 95 % interval of the odds ratio. "wilson" (a share): `hits` of `of`, and `low` its lower bound.
    "language_model": the model's own word, nothing counted. `evidence_count`: the feedback behind it.
    """

    key: str
    type: str
    category: str
    content: str
    rule: str | None
    dimension: str
    direction: str
    confidence: float
    method: str
    evidence_count: int
    hits: int | None = None
    of: int | None = None
    share: float | None = None
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    samples: tuple[UUID, ...] = ()
    source: str = COUNTED


def find_patterns(
    observed: Sequence[Observation], min_confidence: float, *, of_everybody: bool = False
) -> list[Pattern]:
    """What holds in these observations with at least this confidence, the surest first. None for fewer than FEWEST.

    `of_everybody`: they are of many people, and the rules are for all.
    """
    if len(observed) < FEWEST:
        return []
    edited = [(each, each.edit) for each in observed if each.edit is not None]
    found = [*_contrasts(observed), *_edits(edited), *_wording(edited, of_everybody), *_complaints(observed)]
    found = [each for each in found if each.confidence >= min_confidence]
    return sorted(found, key=lambda each: (-each.confidence, -each.evidence_count, each.key))


def rules_of(patterns: Iterable[Pattern]) -> list[Pattern]:
    """Those that lead to a rule, the surest of each dimension only: rules must not contradict each other."""
    chosen: dict[str, Pattern] = {}
    for each in patterns:
        if each.rule and (each.dimension not in chosen or chosen[each.dimension].confidence < each.confidence):
            chosen[each.dimension] = each
    return list(chosen.values())


def _contrasts(observed: Sequence[Observation]) -> list[Pattern]:
    up, down = Counter[str](), Counter[str]()
    for each in observed:
        (up if each.up else down).update(each.traits)
    ups = sum(each.up for each in observed)
    downs = len(observed) - ups
    names = [trait.name for trait in TRAITS if FEWEST <= up[trait.name] + down[trait.name] <= len(observed) - FEWEST]
    found = []
    for name in names:
        trait = BY_NAME[name]
        seen = contrast(down[name], up[name], downs - down[name], ups - up[name])
        if abs(seen.share_with - seen.share_without) < NOTICEABLE:
            continue
        worse = seen.share_with > seen.share_without
        direction, rule = trait.less if worse else trait.more
        count = up[name] + down[name]
        found.append(
            Pattern(
                f"rated:{name}",
                trait.type,
                trait.category,
                f"Answers {trait.noun} get a thumbs-down {seen.share_with:.0%} of the time "
                f"({down[name]:,} of {count:,}), others {seen.share_without:.0%}.",
                rule or None,
                trait.dimension,
                direction or ("less" if worse else "more"),
                _rounded(seen.confidence(len(names))),
                "log_odds",
                count,
                hits=down[name],
                of=count,
                share=round(seen.share_with, 4),
                baseline=round(seen.share_without, 4),
                low=round(seen.low, 4),
                high=round(seen.high, 4),
                samples=_samples(observed, name, not worse),
            )
        )
    return found


def _share(
    key: str, type_: str, category: str, content: str, rule: str, dimension: str, direction: str,
    hits: Sequence[Observation], of: int,
) -> list[Pattern]:  # fmt: skip
    """The pattern of a share, if there is enough of it. `content` takes {hits} and {of}."""
    if len(hits) < FEWEST:
        return []
    low = wilson_lower(len(hits), of)
    return [
        Pattern(
            key,
            type_,
            category,
            content.format(hits=f"{len(hits):,}", of=f"{of:,}"),
            rule or None,
            dimension,
            direction,
            _rounded(low),
            "wilson",
            len(hits),
            hits=len(hits),
            of=of,
            share=round(len(hits) / of, 4),
            low=round(low, 4),
            samples=tuple(each.message_id for each in hits[:SAMPLES]),
        )
    ]


def _edits(edited: Sequence[tuple[Observation, Edit]]) -> list[Pattern]:
    """What edits do to length and form, of those that could."""
    found = []
    for key, verb, direction, rule, changed in (
        ("edit:shorten", "shorten", "shorter", SHORTER, attrgetter("shortened")),
        ("edit:lengthen", "lengthen", "longer", LONGER, attrgetter("lengthened")),
    ):
        hits = [each for each, edit in edited if changed(edit)]
        found += _share(
            key, "preference", "communication_style", f"{{hits}} of {{of}} edits {verb} the answer by a fifth or more.",
            rule, "length", direction, hits, len(edited),
        )  # fmt: skip
    for trait in TRAITS:
        if trait.dimension == "length" or trait.type not in ("format", "style"):
            continue
        had = [(each, edit) for each, edit in edited if trait.name in edit.before]
        gone = [each for each, edit in had if trait.name not in edit.after]
        direction, rule = trait.less
        found += _share(
            f"edit:without:{trait.name}", "style", trait.category,
            f"Of {{of}} edits to answers {trait.noun}, {{hits}} leave nothing of that.",
            rule, trait.dimension, direction or "less", gone, len(had),
        )  # fmt: skip
        had_not = [(each, edit) for each, edit in edited if trait.name not in edit.before]
        come = [each for each, edit in had_not if trait.name in edit.after]
        direction, rule = trait.more
        found += _share(
            f"edit:with:{trait.name}", "style", trait.category,
            f"Of {{of}} edits to other answers, {{hits}} make them answers {trait.noun}.",
            rule, trait.dimension, direction or "more", come, len(had_not),
        )  # fmt: skip
    return found


def _wording(edited: Sequence[tuple[Observation, Edit]], of_everybody: bool) -> list[Pattern]:
    """What edits put into other words, or take away, again and again; of the answers that said it."""
    swaps: dict[tuple[str, str], list[Observation]] = {}
    drops: dict[str, list[Observation]] = {}
    for each, edit in edited:
        for pair in edit.swapped:
            swaps.setdefault(pair, []).append(each)
        for phrase in edit.dropped:
            drops.setdefault(phrase, []).append(each)
    found = []
    for (old, new), hits in swaps.items():
        if _enough(hits, of_everybody):
            found += _share(
                f"edit:say:{old}:{new}", "style", "wording",
                f"{{hits}} of {{of}} edits say “{_plain(new)}” for “{_plain(old)}”.",
                f"Say “{new}”, not “{old}”.", f"say:{old}", new, hits, sum(edit.said(old) for _, edit in edited),
            )  # fmt: skip
    for phrase, hits in drops.items():
        if _enough(hits, of_everybody):
            found += _share(
                f"edit:drop:{phrase}", "style", "wording", f"{{hits}} of {{of}} edits take “{_plain(phrase)}” away.",
                f"Leave out “{phrase}”.", f"say:{phrase}", "", hits, sum(edit.said(phrase) for _, edit in edited),
            )  # fmt: skip
    return found


def _enough(hits: Sequence[Observation], of_everybody: bool) -> bool:
    return len(hits) >= FEWEST and (not of_everybody or len({each.user_id for each in hits}) >= PEOPLE_FOR_WORDING)


def _complaints(observed: Sequence[Observation]) -> list[Pattern]:
    commented = [each for each in observed if each.complaints is not None and not each.up]
    found = []
    for complaint in COMPLAINTS:
        hits = [each for each in commented if complaint.name in (each.complaints or ())]
        found += _share(
            f"comment:{complaint.name}", "preference", complaint.category,
            f"{{hits}} of {{of}} comments on thumbs-down call the answer {complaint.noun}.",
            complaint.rule, complaint.dimension, complaint.direction, hits, len(commented),
        )  # fmt: skip
    return found


def _samples(observed: Sequence[Observation], trait: str, up: bool) -> tuple[UUID, ...]:
    """The newest answers with the trait that were rated so."""
    found = (each.message_id for each in observed if trait in each.traits and each.up == up)
    return tuple(islice(found, SAMPLES))


def _plain(phrase: str) -> str:
    """A phrase as it may stand in a format string."""
    return phrase.replace("{", "{{").replace("}", "}}")


def _rounded(confidence: float) -> float:
    """Rounded, and never quite certain."""
    return min(round(confidence, 4), 0.9999)
