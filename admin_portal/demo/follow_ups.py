"""What people ask next: short questions that lean on the answer before."""

from __future__ import annotations

from admin_portal.demo.talk import Scene, Told, Topic, table


def more_detail(scene: Scene) -> Told:
    p = scene.chance.choice(scene.holdings.positions[:4])
    other = scene.holdings.positions[-1]
    question = scene.one_of(
        "So what did raise it?",
        "Which position contributes most?",
        "And without that one?",
        "Why?",
        f"What about {p.ticker}?",
    )
    answer = (
        f"Mostly **{p.ticker}** and {other.ticker}, which added {scene.figure(1.2, 6.4)} points together. "
        f"{scene.chance.choice(('Eleven smaller holdings', 'Funds', 'Cash and bonds'))} make up the rest."
    )
    return question, answer, ""


def as_table(scene: Scene) -> Told:
    rows = [(p.ticker, p.sector, f"{p.weight} %", f"{p.gain:+.1f} %") for p in scene.holdings.positions[:7]]
    question = scene.one_of("Show it as a table", "table please", "Can you list all of them?")
    return question, "Here you are:\n\n" + table(("Position", "Sector", "Weight", "Gain"), *rows), ""


def other_period(scene: Scene) -> Told:
    span = scene.one_of("three years", "since March", "the last quarter", "five years")
    scene.call("get_prices_historical", {"days": 756}, span=span)
    question = scene.one_of(f"And over {span}?", f"Same for {span}", f"is that different over {span}?")
    a, b = scene.figure(0.5, 1.6, 2), scene.figure(0.5, 1.6, 2)
    answer = (
        f"Over {span} it is **{a}**, against {b} before. "
        f"{scene.one_of('The change is within noise.', 'Most of it came in spring.')} "
        f"{scene.chance.randint(180, 1260)} trading days went into it."
    )
    return question, answer, ""


def thanks(scene: Scene) -> Told:
    question = scene.one_of("ok thanks", "Great, thank you", "Makes sense. Remind me in December?", "got it")
    answer = scene.one_of(
        "You’re welcome. I can’t set reminders, but a saved question on the portfolio page does the same.",
        "You’re welcome.",
        "Glad that helped. The figures refresh after tonight’s batch.",
    )
    return question, answer, ""


FOLLOW_UPS: tuple[Topic, ...] = (more_detail, more_detail, as_table, other_period, thanks)
