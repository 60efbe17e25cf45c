"""How sure one may be of a share, or of a difference between two, from counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

# A one-sided 90 % bound; a two-sided 95 % interval.
Z_ONE_SIDED_90 = NormalDist().inv_cdf(0.90)
Z_TWO_SIDED_95 = NormalDist().inv_cdf(0.975)


def wilson_lower(hits: int, of: int, z: float = Z_ONE_SIDED_90) -> float:
    """The lower bound of Wilson's score interval for a share, 0 to 1; 0 where there is nothing to go by.

    With the default z, the true share is at least this with 90 % confidence: 3 of 3 give 0.65, 9 of 10 give 0.72,
    60 of 100 give 0.54. E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927); chosen over Wald's since it holds for few observations (Brown, Cai & DasGupta, Statistical Science 16,
    2001).
    """
    if of <= 0:
        return 0.0
    share, z2 = hits / of, z * z
    centre = share + z2 / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (centre - spread) / (1 + z2 / of))


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much likelier a thumbs-down is with something than without it.

    Shares 0 to 1. `odds_ratio` > 1: likelier with it; `low` and `high` bound it with 95 %. `p`: the two-sided
    probability of so great a contrast by chance alone.
    """

    share_with: float
    share_without: float
    odds_ratio: float
    low: float
    high: float
    p: float

    def confidence(self, compared: int) -> float:
        """1 − p × the number of things compared (Bonferroni, as given by O. J. Dunn, JASA 56, 1961): the confidence
        that this is no coincidence, where as many were looked at. 0 to 1."""
        return max(0.0, 1.0 - self.p * max(1, compared))


def contrast(down_with: int, up_with: int, down_without: int, up_without: int) -> Contrast:
    """Compares thumbs on answers with something to those on answers without it.

    The log odds ratio with half an observation added to each cell, and its normal interval: J. B. S. Haldane, Annals of
    Human Genetics 20 (1956), and F. J. Anscombe, Biometrika 43 (1956); see Agresti, Categorical Data Analysis, 3.1.1.
    The half is a weak prior (Jeffreys'), which keeps three thumbs from proving anything. Never divides by zero.
    """
    a, b, c, d = (count + 0.5 for count in (down_with, up_with, down_without, up_without))
    log_odds = math.log(a * d / (b * c))
    error = math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    reach = Z_TWO_SIDED_95 * error
    return Contrast(
        _share(down_with, up_with),
        _share(down_without, up_without),
        math.exp(log_odds),
        math.exp(log_odds - reach),
        math.exp(log_odds + reach),
        math.erfc(abs(log_odds) / error / math.sqrt(2)),
    )


def _share(hits: int, misses: int) -> float:
    return hits / (hits + misses) if hits + misses else 0.0
