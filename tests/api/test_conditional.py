"""An ETag is of what is said, and not of when."""

from __future__ import annotations

import json
from typing import Any

from sigmasight.api.conditional import etag_of


def body(**said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def test_it_does_not_change_with_the_clock():
    before = {"date_range": {"start": "1", "end": "2"}, "timestamp": "noon", "total": 3}
    assert etag_of(body(**before)) == etag_of(body(**{**before, "date_range": {"start": "5", "end": "6"}}))
    assert etag_of(body(**before)) == etag_of(body(**{**before, "timestamp": "ä quarter past"}))
    assert etag_of(body(**before)) != etag_of(body(**{**before, "total": 4}))


def test_a_time_further_in_is_said_like_everything_else():
    assert etag_of(body(lines=[{"timestamp": "1"}])) != etag_of(body(lines=[{"timestamp": "2"}]))
    same = {"timestamp": "now", "lines": [{"timestamp": "1"}]}
    assert etag_of(body(**same)) != etag_of(body(**{**same, "lines": [{"timestamp": "2"}]}))


def test_what_is_no_object_has_one_too():
    assert etag_of(b"[1,2]") != etag_of(b"[1,3]")
    assert etag_of(b'["\\"timestamp\\":1"]').startswith('W/"')
