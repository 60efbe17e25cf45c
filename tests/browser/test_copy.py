"""A chart taken along: the files hold what is on the screen, and nothing that needs our style sheet."""

from __future__ import annotations

import csv
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.browser.conftest import count_everything

pytestmark = [pytest.mark.browser, pytest.mark.django_db(databases=["default", "metro"], transaction=True)]
SVG = "{http://www.w3.org/2000/svg}"


def saved(page, menu, name, folder):
    menu.locator("summary").click()
    with page.expect_download() as coming:
        menu.get_by_text(name, exact=True).click()
    path = Path(folder) / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_can_be_taken_along_as_a_picture_that_stands_alone(visit, tmp_path, theme):
    window = visit(color_scheme=theme)
    count_everything()
    for path in ("/admin/ai?period=30d", "/admin/onboarding", "/admin/batch"):
        page = window.open(path)
        menus = page.locator(".copy-of")
        charts = page.locator(".panel :is(figure.chart, figure.gantt, figure.heat, ul.hbars, .funnel)")
        assert menus.count() == charts.count() > 0
        for number in range(menus.count()):
            menu = menus.nth(number)
            picture = ET.parse(saved(page, menu, "Save as SVG", tmp_path)).getroot()
            text = " ".join("".join(each.itertext()) for each in picture.iter(f"{SVG}text"))
            heading = (
                menu.locator("xpath=ancestor::section").locator("h2").first.evaluate("h => h.firstChild.data.trim()")
            )
            assert heading in text
            assert "2026" in text, "the period is not said"
            for each in picture.iter():
                assert "class" not in each.attrib
                assert "style" not in each.attrib
                assert "var(" not in str(each.attrib)
                assert each.tag != f"{SVG}foreignObject"
            paper = picture.find(f"{SVG}rect").attrib["fill"]
            assert paper == menu.evaluate("m => getComputedStyle(m.closest('.panel')).backgroundColor")
        png = saved(page, menus.first, "Save as PNG", tmp_path).read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        box = charts.first.bounding_box()
        assert width == 2 * (int(-(-box["width"] // 1)) + 32)
        assert height > 2 * box["height"]
    assert window.complaints == []


def test_the_figures_of_a_chart_are_the_table_behind_it(visit, tmp_path):
    window = visit()
    page = window.open("/admin/ai?period=30d")
    with saved(page, page.locator(".copy-of").first, "Save figures as CSV", tmp_path).open(newline="") as file:
        rows = list(csv.reader(file))
    shown = page.locator(".behind table").first.evaluate(
        "t => [...t.rows].map(r => [...r.cells].map(c => c.textContent.replace(/\\s+/g, ' ').trim()))"
    )
    assert rows == shown
    assert len(rows) == 31


def test_copied_is_an_image_and_where_that_is_forbidden_a_file(visit):
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    page = window.open("/admin/ai")
    menu = page.locator(".copy-of").first
    menu.locator("summary").press("Enter")
    menu.get_by_text("Copy as image").press("Enter")
    page.get_by_text("Copied.").wait_for()
    types = page.evaluate("async () => (await navigator.clipboard.read()).flatMap((item) => item.types)")
    assert "image/png" in types
    window.context.clear_permissions()
    page.evaluate("() => { navigator.clipboard.write = () => Promise.reject(new Error('no')); }")
    menu.locator("summary").click()
    with page.expect_download() as coming:
        menu.get_by_text("Copy as image").click()
    assert coming.value.suggested_filename.endswith(".png")
    page.get_by_text("it was saved as a file instead").wait_for()
    assert window.complaints == []
