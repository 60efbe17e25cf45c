"""What goes wrong for people who sign up: codes, words, and how often. Fields are ready for COPY."""

from __future__ import annotations

import random

from sigmasight.lib.copying import compact_json, escaped

_REGISTER = (
    (0.46, "EMAIL_TAKEN", "Address already has an account"),
    (0.84, "PASSWORD_WEAK", "Fewer than 12 characters"),
    (0.90, "PASSWORD_WEAK", "Password is on the list of common passwords"),
    (0.96, "EMAIL_INVALID", "Address has no domain part"),
    (1.00, "RATE_LIMITED", "More than 5 sign-ups from this address in an hour"),
)
_LOGIN = (
    (0.82, "LOGIN_FAILED", "Wrong password"),
    (0.94, "LOGIN_FAILED", "Wrong password, 3 times or more"),
    (1.00, "ACCOUNT_LOCKED", "Locked for 15 minutes after 5 attempts"),
)
_BROKERS = (
    "Degiro", "Fidelity", "Schwab", "Interactive Brokers", "Robinhood", "Vanguard", "Trading 212", "Trade Republic",
    "Saxo", "eToro",
)  # fmt: skip
_UNKNOWN = (
    "VWRL.AS",
    "IWDA.AS",
    "BTC-EUR",
    "ETH-EUR",
    "BRKB",
    "SAP.F",
    "CSPX.L",
    "EUNL.DE",
    "RDSA",
    "XAUUSD",
    "GOOG.MI",
)
# Those who stop, and those who get there in the end: who meets what.
_STOP = (("CSV_UNREADABLE", 0.52), ("TICKER_UNKNOWN", 0.90), ("QUOTE_TIMEOUT", 0.96), ("DUPLICATE_ACCOUNT", 1.0))
_GO_ON = (("CSV_UNREADABLE", 0.24), ("TICKER_UNKNOWN", 0.86), ("QUOTE_TIMEOUT", 0.95), ("DUPLICATE_ACCOUNT", 1.0))


def tries(chance: random.Random) -> int:
    """How often somebody meets the same error before they stop or get past it."""
    count = 1
    while count < 6 and chance.random() < 0.3:
        count += 1
    return count


def _pick(chance: random.Random, table: tuple[tuple[float, str, str], ...]) -> str:
    luck = chance.random()
    return next(f"{code}\t{message}" for edge, code, message in table if luck <= edge)


def register(chance: random.Random) -> str:
    return _pick(chance, _REGISTER)


def login(chance: random.Random) -> str:
    return _pick(chance, _LOGIN)


def broker(chance: random.Random) -> str:
    return _BROKERS[int(chance.random() ** 1.4 * len(_BROKERS))]


def portfolio_kind(chance: random.Random, *, done: bool, incident: bool, last_day: bool) -> str:
    """Which error stops the upload. Since last night one broker's new file can't be read."""
    luck = chance.random()
    if incident and luck < 0.7:
        return "QUOTE_TIMEOUT"
    if last_day and luck < 0.45:
        return "CSV_UNREADABLE"
    luck = chance.random()
    return next(code for code, edge in (_GO_ON if done else _STOP) if luck <= edge)


def portfolio(chance: random.Random, kind: str, broker: str) -> tuple[str, str]:
    """The event's data, and its code and message."""
    rows = 4 + int(chance.expovariate(1 / 40))
    row = chance.randrange(1, rows + 1)
    data: dict[str, object] = {"broker": broker, "rows": rows}
    if kind == "CSV_UNREADABLE":
        word, value = chance.choice(
            (
                ("Column “Quantity” not found", "header"),
                ("Column “Quantity” not found", "header"),
                (f"Decimal comma in “Price”, row {row}", "decimal"),
                ("Semicolon file read as one column", "delimiter"),
                (f"Row {row} has 7 fields, the header 9", "ragged"),
                ("File is not UTF-8: byte 0xE9 at 1,204", "encoding"),
            )
        )
        data["reason"] = value
    elif kind == "TICKER_UNKNOWN":
        tickers = chance.sample(_UNKNOWN, k=min(2, 1 + int(chance.random() * 2)))
        word = ", ".join(tickers) + (f" and {rows // 9} more" if rows > 60 else "")
        data["tickers"] = tickers
    elif kind == "QUOTE_TIMEOUT":
        word = f"Price lookup took longer than 20 s, line {row} of {rows}"
        data["line"] = row
    else:
        word = "A portfolio of this account name exists already"
    return escaped(compact_json(data)), f"{kind}\t{word}"
