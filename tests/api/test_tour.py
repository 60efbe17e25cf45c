"""docs/api.md's tour, as somebody who pastes it would take it: in a shell, with curl, against a running server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from admin_portal.api.docs import document
from tests.api.world import build
from tests.conftest import PASSWORD

DOCS = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed here")
@pytest.mark.django_db(databases=["default", "metro"], transaction=True)
def test_the_tour_can_be_taken(live_server, super_admin):
    build(super_admin)
    script = "set -euo pipefail\n" + "\n".join(re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL))
    given = {"BASE": live_server.url, "EMAIL": super_admin.email, "PASSWORD": PASSWORD}
    taken = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **given}, capture_output=True, text=True, timeout=120, check=False
    )
    assert taken.returncode == 0, (taken.stdout[-2000:], taken.stderr[-2000:])
    lines = taken.stdout.splitlines()
    assert super_admin.email in lines[0]
    assert "304" in lines
    assert any('"status":"reviewed"' in line for line in lines)
    assert "days: Input should be less than or equal to 90." in lines
    assert lines[-1] == "401"


def test_the_number_of_calls_it_names_is_right():
    calls = sum(len(methods) for methods in document()["paths"].values())
    assert f"{calls} calls under `/api/v1`" in DOCS.read_text()
