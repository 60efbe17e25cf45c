"""Messages as people and models write them, by the million: the texts that the search is measured on.

The vocabulary follows Zipf's law, half the messages are questions of 6 to 40 words, half answers of 50 to 400. Some
words are planted, so that a search's number of hits is known beforehand.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from itertools import accumulate

from psycopg import sql

WORDS = 30_000
SENTENCES = 40_000
MESSAGES_EACH = 4
DAYS = 365
# One person has asked about everything.
HEAVY_USER = uuid.UUID(int=7)
HEAVY_SHARE = 0.002

# A word or phrase, and in which share of the messages it is.
COMMON, RARE, PHRASE, HARD_PHRASE = "portfolio", "zeolite", "expense ratio", "portfolio dividend"
PLANTED = {
    "What does my portfolio say of it?": 0.30,
    "The dividend was cut.": 0.15,
    "Volatility rose in March.": 0.10,
    "The expense ratio is low.": 0.02,
    "No expense was spared.": 0.05,
    "That ratio is stable.": 0.05,
    "A portfolio dividend policy helps.": 0.0002,
    "Zeolite is a mineral.": 0.00002,
}
_USUAL = tuple(
    """
    beta stock market risk index fund return growth value sector bond yield cash share price factor exposure
    allocation benchmark earnings quarter income tax account holding position weight correlation hedge option future
    currency inflation rate credit spread duration momentum quality size drawdown scenario stress analysis
    """.split()  # noqa: SIM905
)
_LINKS = tuple("the of and to in a is that for it with as on be at by this are from or your have an not".split())  # noqa: SIM905


def texts(seed: int = 7) -> Iterator[tuple[str, str]]:
    """(role, content) without end: a question, then its answer. The same seed gives the same texts."""
    chance = random.Random(seed)
    pool = _sentences(chance)
    planted = list(PLANTED.items())
    number = 0
    while True:
        asks = number % 2 == 0
        length = chance.randint(6, 40) if asks else min(400, max(50, int(chance.lognormvariate(5, 0.6))))
        chosen: list[str] = []
        words = 0
        while words < length:
            sentence, size = pool[int(chance.random() * SENTENCES)]
            chosen.append(sentence)
            words += size
        chosen += [sentence for sentence, share in planted if chance.random() < share]
        chance.shuffle(chosen)
        number += 1
        yield ("user", " ".join(chosen)) if asks else ("assistant", _answer(chosen))


def load(messages: int, now: dt.datetime) -> None:
    """COPY so many messages, four to a conversation, evenly over the year before `now`, into gondola. The search index
    is best made afterwards."""
    from django.db import connection

    chance = random.Random(1)
    step = dt.timedelta(days=DAYS) / max(messages, 1)
    begun = now - dt.timedelta(days=DAYS)
    users = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(max(messages // 50, 1))]
    talks = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(-(-messages // MESSAGES_EACH))]
    with connection.cursor() as cursor:
        with cursor.copy("COPY agent_conversations (id, user_id, created_at, updated_at) FROM STDIN") as copy:
            for number, talk in enumerate(talks):
                owner = HEAVY_USER if chance.random() < HEAVY_SHARE else chance.choice(users)
                at = begun + number * MESSAGES_EACH * step
                copy.write(f"{talk}\t{owner}\t{at}\t{at}\n")
        with cursor.copy("COPY agent_messages (id, conversation_id, role, content, created_at) FROM STDIN") as copy:
            for number, (role, content) in zip(range(messages), texts(), strict=False):
                at = begun + number * step
                identifier = uuid.UUID(int=chance.getrandbits(128))
                line = content.replace("\n", "\\n")
                copy.write(f"{identifier}\t{talks[number // MESSAGES_EACH]}\t{role}\t{line}\t{at}\n")
        for table in ("agent_conversations", "agent_messages"):
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))


def _answer(sentences: list[str]) -> str:
    """Markdown, as models write it: a heading, paragraphs, a list."""
    third = max(len(sentences) // 3, 1)
    listed = "\n".join(f"- {each}" for each in sentences[2 * third :])
    return (
        f"## {sentences[0]}\n\n{' '.join(sentences[1:third])}\n\n{' '.join(sentences[third : 2 * third])}\n\n{listed}"
    )


def _sentences(chance: random.Random) -> list[tuple[str, int]]:
    consonants, vowels = "bcdfglmnprstv", "aeiou"
    made = {*_USUAL}
    vocabulary = list(_USUAL)
    while len(vocabulary) < WORDS:
        word = "".join(chance.choice(consonants) + chance.choice(vowels) for _ in range(chance.randint(2, 4)))
        if word not in made:
            made.add(word)
            vocabulary.append(word)
    weights = list(accumulate(1 / (rank + 2.7) for rank in range(WORDS)))
    pool = []
    for _ in range(SENTENCES):
        size = chance.randint(6, 22)
        content = chance.choices(vocabulary, cum_weights=weights, k=size)
        words = [chance.choice(_LINKS) if chance.random() < 0.4 else word for word in content]
        pool.append((" ".join(words).capitalize() + ".", size))
    return pool
