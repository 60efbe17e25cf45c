"""What answers and bodies are made of."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Out(BaseModel):
    """An answer, or part of one. Built by name in a router: `MetricsOut(total_requests=…)`."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=())


class In(BaseModel):
    """A body. What it does not know is refused: nothing that is accepted is lost."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class PageOut(Out):
    """A page of a list: `total` is how many rows match, on all pages."""

    total: int = Field(description="How many rows match the filters, on all pages.", examples=[1280])
    limit: int = Field(description="How many rows a page has at most.", examples=[50])
    offset: int = Field(description="How many rows were left out before this page; 0 with a cursor.", examples=[0])
    next_cursor: str | None = Field(
        None, description="Send it as `cursor` for the next page; null on the last one.", examples=["WyJhIiwxXQ"]
    )


class DateRangeOut(Out):
    """The span that the figures are of: from `start` up to `end`, UTC."""

    start: dt.datetime = Field(examples=["2026-10-24T09:00:00+00:00"])
    end: dt.datetime = Field(examples=["2026-11-23T09:00:00+00:00"])


class MessageOut(Out):
    """A sentence about what was done."""

    message: str


class ErrorOut(Out):
    """What went wrong, and what to do about it."""

    detail: str = Field(examples=["Nothing has this id."])


class InvalidItemOut(Out):
    """One thing that is wrong: `loc` is where, from "path", "query" or "body" inwards."""

    loc: list[str | int] = Field(examples=[["query", "days"]])
    msg: str = Field(examples=["Input should be less than or equal to 90"])
    type: str = Field(examples=["less_than_equal"])


class InvalidOut(Out):
    """What is wrong with the parameters or the body; `message` says it in one sentence."""

    detail: list[InvalidItemOut]
    message: str = Field(examples=["days: Input should be less than or equal to 90."])


def answers(schema: Any, *statuses: int) -> dict[int, Any]:
    """The `response=` of an operation: 200 with `schema`, ErrorOut with the statuses that are its own (404, 409, …).

    401, 403 for writes, 413, 415 and 422 for bodies, 422 and 503 are every operation's: the document adds them.
    """
    return {200: schema, **dict.fromkeys(statuses, ErrorOut)}
