"""The topics people ask about: each gives a question, its answer, and what would have been better."""

from __future__ import annotations

from admin_portal.demo.talk import Scene, Told, Topic, table


def beta(scene: Scene) -> Told:
    held = scene.holdings
    years = scene.one_of("the last year", "three years", "since January")
    question = scene.one_of(
        f"What is my beta against the S&P over {years}?",
        "How much does my portfolio move when the market moves?",
        f"beta vs SPY, {years} please",
        "Am I more volatile than the index?",
    )
    scene.portfolio()
    measured = round(held.beta * scene.chance.uniform(0.94, 1.08), 2)
    scene.call("get_factor_exposures", {"market_beta": measured, "r2": scene.figure(0.7, 0.93, 2)}, window="252d")
    top = sorted(held.positions, key=lambda p: -p.beta * p.weight)[:3]
    said = round(measured + 0.4, 2) if scene.flaw == "contradiction" else measured
    answer = (
        f"Your portfolio’s beta against the S&P 500 is **{said}** ({years}, daily returns, as of {scene.as_of}). When "
        f"the index moves 1 %, expect about {said:.1f} %.\n\nMost of it comes from three positions:\n\n"
        + table(
            ("Position", "Weight", "Beta", "Contribution"),
            *((p.ticker, f"{p.weight} %", f"{p.beta:.2f}", f"{p.beta * p.weight / 100:.2f}") for p in top),
        )
        + scene.one_of(
            f"\n\nWithout {top[0].ticker} it would be {measured - top[0].beta * top[0].weight / 100:.2f}.",
            f"\n\nCash of {held.cash} % lowers it a little.",
            "",
        )
    )
    return question, answer, answer.replace(f"**{said}**", f"**{measured}**")


def sectors(scene: Scene) -> Told:
    held = scene.holdings
    by_weight = held.sectors()
    name, weight = by_weight[0]
    question = scene.one_of(
        f"Why did my {name.lower()} weight go up when I sold {held.sold} in May?",
        "Show my sector weights",
        f"How much {name.lower()} do I own really?",
        "Which sectors am I overweight in compared to the S&P?",
        "Am I too concentrated in one sector?",
    )
    scene.portfolio()
    scene.call("get_positions_details", {"sectors": dict(by_weight), "as_of": held.as_of.isoformat()})
    culprit = held.positions[0]
    if scene.flaw in ("contradiction", "invented"):
        why = f"The increase comes from your {held.sold} position, which gained 18 % since May and is now your largest."
        right = f"It comes from {culprit.ticker} ({culprit.before} to {culprit.weight} %); {held.sold} is sold."
    else:
        why = f"The largest mover is {culprit.ticker}, from {culprit.before} to {culprit.weight} %."
        right = why
    rows = [(p.ticker, f"{p.before} %", f"{p.weight} %") for p in held.positions[:4]]
    if "sold" in question or scene.flaw == "contradiction":
        rows.append((held.sold, f"{scene.figure(3, 8)} %", "0.0 %"))
    answer = (
        f"**{name}** is your largest sector at **{weight:.1f} %**, then "
        + ", ".join(f"{other} {part:.1f} %" for other, part in by_weight[1:4])
        + f". {why}\n\n"
        + table(("Position", "Weight, 1 May", f"Weight, {scene.as_of}"), *rows)
        + f"\n\nConsider trimming if you want to stay under {int(weight // 10 * 10 + 5)} %."
    )
    return question, answer, answer.replace(why, right)


def factors(scene: Scene) -> Told:
    question = scene.one_of(
        "Compare value and momentum exposure since January",
        "What factors drive my returns?",
        "Do I have a growth tilt?",
        "factor exposure breakdown, please, with t-stats if you have them",
    )
    scene.portfolio()
    shown = {f: scene.figure(-0.6, 0.8, 2) for f in ("Market", "Size", "Value", "Momentum", "Quality", "Low vol")}
    scene.call("get_factor_exposures", {"exposures": shown, "as_of": scene.holdings.as_of.isoformat()})
    most = max(shown, key=lambda key: abs(shown[key]))
    said = min(shown, key=lambda key: abs(shown[key])) if scene.flaw == "contradiction" else most
    lead = f"Your strongest tilt is **{said}**"
    answer = (
        f"{lead} ({shown[most]:+.2f}). As of {scene.as_of}:\n\n"
        + table(("Factor", "Exposure", "t"), *((f, f"{x:+.2f}", scene.figure(-3, 5)) for f, x in shown.items()))
        + "\n\n- A positive value means that you move with the factor.\n- Between −0.1 and +0.1 it is noise.\n"
        + f"- {scene.one_of('Momentum changed most since January.', 'Value has hardly moved since spring.')}"
    )
    return question, answer, answer.replace(lead, f"Your strongest tilt is **{most}**")


def dividends(scene: Scene) -> Told:
    held = scene.holdings
    question = scene.one_of(
        "Should I put everything into SCHD for the dividend?",
        "What dividends do I get this quarter?",
        "How much income does my portfolio make a year?",
        "Which of my positions pay nothing?",
    )
    scene.portfolio()
    scene.call("get_positions_details", {"yield": round(held.dividend, 2)}, fields=["dividend_yield"])
    payers = sorted((p for p in held.positions if p.dividend), key=lambda p: -p.dividend * p.weight)[:4]
    income = held.value * held.dividend / 100
    answer = (
        f"Your portfolio yields **{held.dividend:.2f} %**, about **{income:,.0f} USD** a year before tax.\n\n"
        + table(
            ("Position", "Yield", "Weight", "A year"),
            *(
                (p.ticker, f"{p.dividend} %", f"{p.weight} %", f"{held.value * p.weight * p.dividend / 1e4:,.0f}")
                for p in payers
            ),
        )
        + scene.one_of(
            "\n\nPutting everything into one fund would raise the yield but leave you with value and energy risk only. "
            "A third of it gets most of the income.",
            f"\n\nThe next payment is from {payers[0].ticker if payers else 'nobody'}, in "
            f"{scene.chance.randint(4, 40)} days.",
            "\n\nYield is not return: your best position this year pays nothing.",
        )
    )
    return question, answer, f"About {income:,.0f} USD a year ({held.dividend:.2f} %), as of {scene.as_of}."


def covered_call(scene: Scene) -> Told:
    p = scene.holdings.positions[0]
    strike = round(p.price * scene.chance.choice((1.02, 1.05, 1.08)) / 5) * 5
    question = scene.one_of(
        f"Is my covered call on {p.ticker} assigned if it closes at {strike}?",
        f"What covered calls could I write on {p.ticker} for next month?",
        f"Premium for a {strike} call on {p.ticker}?",
    )
    scene.call("get_positions_details", {"ticker": p.ticker, "shares": p.shares}, ticker=p.ticker)
    scene.call("get_prices_historical", {"last": p.price, "days": 60}, ticker=p.ticker, days=60)
    premium = round(p.price * scene.chance.uniform(0.008, 0.026), 2)
    contracts = max(1, p.shares // 100)
    word = "No" if scene.flaw == "contradiction" else "Yes, most likely"
    answer = (
        f"{word}. A call with strike **{strike}** is in the money above {strike:.2f}; at exactly {strike} the holder "
        f"may or may not exercise.\n\n1. You hold {p.shares} shares of {p.ticker}, so at most **{contracts} "
        f"contract{'s' if contracts > 1 else ''}**.\n2. At a premium of {premium:.2f} you keep "
        f"{premium * 100 * contracts:,.0f} USD whatever happens.\n3. Above **{strike + premium:.2f}** you would have "
        f"been better off without the call.\n\n{p.ticker} closed at {p.price:.2f} on {scene.as_of}."
    )
    return question, answer, answer.replace("No. A call", "Yes, most likely. A call")


def rebalance(scene: Scene) -> Told:
    held = scene.holdings
    split = scene.one_of("60/40", "70/30", "80/20")
    question = scene.one_of(
        f"Rebalance me to {split} and list the trades",
        f"What would I have to sell to be at {split}?",
        "Rebalance to equal weights, smallest number of trades",
    )
    scene.portfolio()
    scene.call("get_current_quotes", {"quotes": len(held.positions)})
    trades = []
    for p in held.positions[:5]:
        change = scene.figure(-6, 6)
        side = "Sell" if change < 0 else "Buy"
        trades.append((p.ticker, side, f"{abs(held.value * change / 100):,.0f}", f"{max(0, p.weight + change):.1f} %"))
    total = sum(int(row[2].replace(",", "")) for row in trades)
    said = total * 3 if scene.flaw in ("contradiction", "invented") else total
    answer = (
        f"To get to **{split}** you would trade **{said:,} USD** ({total / max(1, held.value) * 100:.1f} % of the "
        f"portfolio):\n\n{table(('Position', 'Trade', 'USD', 'After'), *trades)}\n\n"
        + scene.one_of(
            f"Selling {trades[0][0]} realises a gain; in a taxable account start with the positions held for a year.",
            "Limit orders near the open would do; nothing here is illiquid.",
            f"With {held.cash} % in cash, buy first.",
        )
    )
    return question, answer, answer.replace(f"**{said:,} USD**", f"**{total:,} USD**")


def correlation(scene: Scene) -> Told:
    a, b, c = scene.holdings.positions[:3]
    question = scene.one_of(
        "Show the correlation between my two largest positions",
        f"Do {a.ticker} and {b.ticker} move together?",
        "Which of my holdings are basically the same bet?",
    )
    scene.portfolio()
    ab, ac, bc = (scene.figure(-0.1, 0.86, 2) for _ in range(3))
    scene.call("get_correlation_matrix", {a.ticker: {b.ticker: ab, c.ticker: ac}, b.ticker: {c.ticker: bc}}, days=90)
    said = "hardly" if (ab > 0.5) == (scene.flaw == "contradiction") else "closely"
    answer = (
        f"{a.ticker} and {b.ticker} move **{said}** together: correlation **{ab:+.2f}** over 90 days to {scene.as_of}."
        f"\n\n{table(('', a.ticker, b.ticker, c.ticker), (a.ticker, '1.00', ab, ac), (b.ticker, ab, '1.00', bc))}"
        f"\n\nTogether they are {a.weight + b.weight:.1f} % of the portfolio."
    )
    return question, answer, f"Correlation {ab:+.2f} over 90 days."


def profit(scene: Scene) -> Told:
    held = scene.holdings
    question = scene.one_of(
        "Why is unrealised P&L different from my broker?",
        "What did I earn this year?",
        "Which positions lose money?",
        "P&L by position, worst first",
    )
    scene.portfolio()
    scene.call("get_positions_details", {"positions": len(held.positions)}, fields=["cost_basis", "market_value"])
    ranked = sorted(held.positions, key=lambda p: p.gain)[:4]
    total = sum(p.gain * p.weight for p in held.positions) / 100
    answer = (
        f"Unrealised, you are at **{total:+.1f} %** ({held.value * total / 100:+,.0f} USD) as of {scene.as_of}.\n\n"
        + table(
            ("Position", "Gain", "USD"),
            *((p.ticker, f"{p.gain:+.1f} %", f"{held.value * p.weight * p.gain / 1e4:+,.0f}") for p in ranked),
        )
        + "\n\nYour broker may show another figure because:\n\n- it counts dividends as gain, this does not;\n"
        "- it uses the last trade, this uses the close;\n- lots are matched first-in, first-out here."
    )
    return question, answer, f"{total:+.1f} % as of {scene.as_of}; your broker adds dividends of {held.dividend:.2f} %."


def currency(scene: Scene) -> Told:
    question = scene.one_of(
        "How much of the portfolio is in euros?",
        "What happens to me if the dollar falls 10 %?",
        "Currency exposure, look-through please",
    )
    scene.portfolio()
    euro, pound, yen = scene.figure(3, 24), scene.figure(0.5, 8), scene.figure(0.2, 5)
    scene.call("search_knowledge", {"documents": 3, "best": scene.figure(0.6, 0.9, 2)}, query="currency exposure ETF")
    answer = (
        f"Looking through the funds, **{euro} %** is in euros, {pound} % in pounds, {yen} % in yen and the rest, "
        f"{100 - euro - pound - yen:.1f} %, in dollars.\n\nIf the dollar fell 10 % against all of them you would gain "
        f"about **{(euro + pound + yen) / 10:.1f} %** in dollars. Listing currency is not what counts: "
        f"{scene.holdings.positions[0].ticker} is quoted in dollars but earns some 40 % of its sales abroad."
    )
    return question, answer, f"{euro} % euros, {pound} % pounds, {yen} % yen."


def stress(scene: Scene) -> Told:
    held = scene.holdings
    drop = scene.chance.choice((10, 20, 30))
    question = scene.one_of(
        f"What do I lose if the market drops {drop} %?",
        "Run a 2022-style stress test on my portfolio",
        "How bad would 2008 have been for me?",
        "Value at risk, 95 %, one month",
    )
    scene.portfolio()
    scene.call("get_factor_exposures", {"market_beta": round(held.beta, 2)}, model="stress")
    loss = held.beta * drop
    said = loss / 2 if scene.flaw == "contradiction" else loss
    rows = [
        (f"Equities −{n} %", f"−{held.beta * n:.1f} %", f"−{held.value * held.beta * n / 100:,.0f}")
        for n in (10, 20, 30)
    ]
    answer = (
        f"If equities fell {drop} % you would lose about **{said:.1f} %**.\n\n"
        + table(("Scenario", "Portfolio", "USD"), *rows, ("Rates +1 %", f"−{scene.figure(0.2, 3.4)} %", ""))
        + f"\n\nThis is linear in beta ({held.beta:.2f}); in a real fall correlations rise and it would be worse."
    )
    return question, answer, answer.replace(f"**{said:.1f} %**", f"**{loss:.1f} %**")


def filing(scene: Scene) -> Told:
    p = scene.chance.choice(scene.holdings.positions)
    question = scene.one_of(
        f"Summarise last week’s 10-Q for {p.ticker}",
        f"What did {p.ticker} say about margins in the last call?",
        f"Any red flags in the {p.ticker} annual report?",
    )
    found = scene.chance.random() < 0.55
    scene.call(
        "search_knowledge", {"documents": 3 if found else 0, "best": 0.81 if found else 0.31}, query=f"{p.ticker} 10-Q"
    )
    if not found and scene.flaw != "invented":
        answer = (
            f"I have no document on {p.ticker}’s last filing, so I won’t guess. On SEC’s EDGAR it is under form 10-Q; "
            "once it is in the knowledge base I can summarise it."
        )
        return question, answer, ""
    answer = (
        f"**{p.ticker}, latest quarter**\n\n- Revenue grew **{scene.figure(-4, 28)} %**, gross margin "
        f"{scene.figure(31, 74)} % ({scene.figure(-1.5, 2)} points).\n- Operating cash flow of "
        f"{scene.figure(1, 31)} bn USD, of which {scene.figure(20, 80, 0):.0f} % went into buybacks.\n- Guidance was "
        + scene.one_of("raised at the lower end.", "kept.", "cut for the second time.")
        + f"\n\nFor you: {p.ticker} is {p.weight} % of the portfolio."
    )
    return question, answer, f"No document on {p.ticker} was found."


def concentration(scene: Scene) -> Told:
    held = scene.holdings
    top = held.positions[:5]
    question = scene.one_of(
        "Am I too concentrated?",
        "How many stocks do I effectively own?",
        f"Is {top[0].ticker} too big?",
    )
    scene.portfolio()
    effective = 1 / sum((p.weight / 100) ** 2 for p in held.positions)
    answer = (
        f"You hold {len(held.positions)} positions, but effectively **{effective:.1f}**: the five largest are "
        f"**{sum(p.weight for p in top):.1f} %**.\n\n"
        + table(
            ("Position", "Weight", "Since 1 May"),
            *((p.ticker, f"{p.weight} %", f"{p.weight - p.before:+.1f}") for p in top),
        )
        + f"\n\nCutting {top[0].ticker} to 10 % would raise the effective number most."
    )
    return question, answer, f"{effective:.1f} effective positions."


def benchmark(scene: Scene) -> Told:
    question = scene.one_of(
        "How did I do against the S&P this year?",
        "Performance since January vs VTI",
        "Why did I lag the index last month?",
    )
    scene.portfolio()
    mine, index = scene.figure(-6, 31), scene.figure(4, 19)
    scene.call("get_prices_historical", {"portfolio": mine, "benchmark": index}, benchmark="SPY", since="2026-01-01")
    word = "ahead of" if (mine > index) != (scene.flaw == "contradiction") else "behind"
    a, b = scene.holdings.positions[0], scene.holdings.positions[-1]
    answer = (
        f"You are **{word}** the index: **{mine:+.1f} %** against {index:+.1f} % (to {scene.as_of}, with dividends, "
        f"before tax).\n\n**What helped:** {a.ticker} ({a.gain:+.1f} %).\n**What cost:** {b.ticker} ({b.gain:+.1f} %) "
        f"and {scene.holdings.cash} % in cash.\n\n> Time-weighted, so deposits do not count as return."
    )
    right = "ahead of" if mine > index else "behind"
    return question, answer, answer.replace(f"**{word}** the", f"**{right}** the")


def taxes(scene: Scene) -> Told:
    held = scene.holdings
    losers = sorted(held.positions, key=lambda p: p.gain)[:2]
    question = scene.one_of(
        "Any tax-loss harvesting left this year?",
        f"If I sell {losers[0].ticker} now, can I buy it back in December?",
        "Which lots should I sell first?",
    )
    scene.call("get_positions_details", {"lots": scene.chance.randint(8, 60)}, fields=["lots"])
    amount = held.value * losers[0].weight / 100 * min(-1.0, losers[0].gain) / 100
    answer = (
        f"**{losers[0].ticker}** has an unrealised result of {losers[0].gain:+.1f} % (about {amount:,.0f} USD), "
        f"{losers[1].ticker} {losers[1].gain:+.1f} %.\n\n1. Sell the lots with the highest cost first.\n2. Do not buy "
        "the same security within **30 days** before or after, or the loss is disallowed (wash sale).\n3. A fund of "
        "the same sector keeps you invested.\n\nThis is about the rule, not about your return; ask your tax adviser."
    )
    return question, answer, ""


def hedge(scene: Scene) -> Told:
    held = scene.holdings
    question = scene.one_of(
        "How would I hedge this with SPY puts?",
        "Cheapest protection against a 15 % drop until March?",
        "collar or puts? show me the cost of both",
    )
    scene.portfolio()
    scene.call("get_current_quotes", {"SPY": 671.2, "VIX": scene.figure(13, 27)}, tickers=["SPY", "VIX"])
    count = max(1, round(held.value * held.beta / 67_120))
    cost = scene.figure(0.6, 2.4, 2)
    answer = (
        f"To cover your market risk (beta {held.beta:.2f} × {held.value:,} USD) you would need about **{count} SPY "
        f"contract{'s' if count > 1 else ''}**.\n\n"
        + table(
            ("Hedge", "Cost", "Covers below"),
            ("Put, 5 % out", f"{cost} %", "−5 %"),
            ("Put spread, 5 to 15 %", f"{cost * 0.55:.2f} %", "−5 to −15 %"),
            ("Collar", "about 0 %", "−5 %, gives up +6 %"),
        )
        + "\n\nCosts are for three months, at yesterday’s implied volatility."
    )
    return question, answer, ""


TOPICS: tuple[Topic, ...] = (
    beta, sectors, sectors, factors, dividends, covered_call, rebalance, rebalance, correlation, profit, currency,
    stress, filing, concentration, benchmark, taxes, hedge,
)  # fmt: skip
