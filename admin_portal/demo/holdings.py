"""The portfolio that a conversation is about: invented, but it adds up."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from functools import lru_cache

# Ticker, sector, beta, dividend yield in %, price.
_UNIVERSE = (
    ("AAPL", "Technology", 1.21, 0.4, 271.4), ("MSFT", "Technology", 0.94, 0.7, 512.8),
    ("NVDA", "Technology", 1.94, 0.0, 187.2), ("AVGO", "Technology", 1.32, 0.8, 347.9),
    ("AMD", "Technology", 1.88, 0.0, 236.1), ("GOOGL", "Communication", 1.05, 0.3, 278.6),
    ("META", "Communication", 1.24, 0.3, 618.3), ("NFLX", "Communication", 1.16, 0.0, 111.2),
    ("AMZN", "Consumer", 1.28, 0.0, 234.7), ("COST", "Consumer", 0.82, 0.5, 914.0),
    ("PG", "Consumer", 0.42, 2.8, 147.5),
    ("KO", "Consumer", 0.39, 2.9, 71.3), ("TSLA", "Consumer", 2.11, 0.0, 404.4),
    ("JPM", "Financials", 1.09, 1.9, 304.2),
    ("V", "Financials", 0.91, 0.8, 331.0), ("BRK.B", "Financials", 0.74, 0.0, 508.9),
    ("BLK", "Financials", 1.36, 2.0, 1041.0), ("UNH", "Health care", 0.58, 2.7, 322.7),
    ("LLY", "Health care", 0.46, 0.6, 1024.0), ("JNJ", "Health care", 0.51, 2.6, 201.4),
    ("NVO", "Health care", 0.63, 3.4, 48.1), ("XOM", "Energy", 0.71, 3.4, 117.6), ("CVX", "Energy", 0.79, 4.4, 151.2),
    ("CAT", "Industrials", 1.12, 1.1, 556.3), ("HON", "Industrials", 0.95, 2.3, 197.9),
    ("ASML", "Technology", 1.47, 0.7, 1012.0), ("NEE", "Utilities", 0.49, 2.7, 84.3),
    ("O", "Real estate", 0.68, 5.6, 57.2),
    ("SCHD", "ETF, dividends", 0.78, 3.8, 27.2), ("VTI", "ETF, US", 1.01, 1.1, 326.8),
    ("VXUS", "ETF, abroad", 0.86, 2.7, 73.9), ("QQQ", "ETF, Nasdaq", 1.19, 0.5, 601.4),
    ("BND", "ETF, bonds", 0.06, 3.8, 74.3), ("GLD", "ETF, gold", 0.08, 0.0, 376.1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Position:
    ticker: str
    sector: str
    beta: float
    dividend: float
    price: float
    weight: float  # percent
    before: float  # percent, half a year ago
    gain: float  # percent since bought
    shares: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """Positions by weight, the largest first; `sold` is one that was there and is not any more."""

    positions: tuple[Position, ...]
    sold: str
    value: int
    cash: float  # percent
    as_of: dt.date
    id: str

    @property
    def beta(self) -> float:
        return sum(p.beta * p.weight for p in self.positions) / 100

    @property
    def dividend(self) -> float:
        return sum(p.dividend * p.weight for p in self.positions) / 100

    def sectors(self) -> list[tuple[str, float]]:
        found: dict[str, float] = {}
        for position in self.positions:
            found[position.sector] = found.get(position.sector, 0) + position.weight
        return sorted(found.items(), key=lambda pair: -pair[1])


@lru_cache(maxsize=4096)
def _kept(chance: int) -> tuple[tuple[int, ...], tuple[float, ...], int, float, str]:
    pick = random.Random(chance)  # noqa: S311
    chosen = tuple(pick.sample(range(len(_UNIVERSE)), k=pick.randint(7, 13)))
    raw = sorted((pick.expovariate(1) + 0.12 for _ in chosen[1:]), reverse=True)
    cash = round(pick.uniform(0.4, 9.0), 1)
    weights = tuple(round(value / sum(raw) * (100 - cash), 1) for value in raw)
    return chosen, weights, int(3_000 * 1.9 ** (chance % 1000 / 110)), cash, f"{pick.getrandbits(64):016x}"


def holdings(chance: int, as_of: dt.date) -> Holdings:
    """The portfolio of the person with this number, as of a day: it drifts a little."""
    chosen, weights, value, cash, identifier = _kept(chance)
    drift = random.Random(f"{chance} {as_of}")  # noqa: S311
    positions = []
    for index, weight in zip(chosen[1:], weights, strict=True):
        ticker, sector, beta, dividend, price = _UNIVERSE[index]
        now = max(0.2, round(weight * drift.uniform(0.97, 1.03), 1))
        price = round(price * drift.uniform(0.94, 1.06), 2)
        before = max(0.1, round(now * drift.uniform(0.65, 1.3), 1))
        shares = max(1, int(value * now / 100 / price))
        gain = round(drift.gauss(14, 22), 1)
        positions.append(Position(ticker, sector, beta, dividend, price, now, before, gain, shares))
    return Holdings(tuple(positions), _UNIVERSE[chosen[0]][0], value, cash, as_of, identifier)
