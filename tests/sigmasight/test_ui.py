"""The parts a page is made of: what they say, that they escape, and that the strict CSP holds in each of them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django import forms
from django.conf import settings
from django.contrib.messages import constants
from django.http import Http404
from django.template import Context, Template
from django.template.loader import get_template, render_to_string
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from sigmasight import markdown
from sigmasight.lib import charts
from sigmasight.lib import format as fmt
from sigmasight.lib.charts import Series
from sigmasight.styleguide import styleguide

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
STATIC = Path(settings.BASE_DIR) / "static"


class Strict(HTMLParser):
    """Refuses what the CSP would block: inline style and script, event handlers, foreign addresses to load from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert tag not in {"style", "iframe", "object", "embed", "base"}, tag
        given = dict(attrs)
        assert "style" not in given, (tag, given)
        assert not [name for name in given if name.startswith(("on", "hx-on"))], (tag, given)
        assert not str(given.get("href") or "").lower().startswith(("javascript:", "data:")), (tag, given)
        if tag in {"script", "img", "link"}:
            address = given.get("src") or given.get("href") or ""
            assert address.startswith("/"), (tag, given)


def strict(html: str) -> list[str]:
    parser = Strict()
    parser.feed(html)
    parser.close()
    return parser.tags


def draw(source: str, **context: Any) -> str:
    request = RequestFactory().get(context.pop("path", "/admin"))
    return Template(source).render(Context({"request": request, **context}))


# ---- figures and time ----


def test_filters_write_figures() -> None:
    html = draw("{{ n|count }} {{ n|ms }} {{ x|percent }} {{ none|known }} {{ one|plural:'person,people' }}",
                n=1840, x=0.012, none=None, one=1)  # fmt: skip

    assert html.replace(fmt.NBSP, " ") == "1,840 1.84 s 1.2 % – 1 person"


@time_machine.travel(NOW, tick=False)
def test_an_age_carries_its_exact_moment() -> None:
    html = draw("{% ago then %}", then=NOW - timedelta(seconds=41))

    assert 'datetime="2026-11-22T07:59:19+00:00"' in html
    assert 'title="22 Nov 2026, 07:59:19 UTC"' in html
    assert "41\u00a0s\u00a0ago" in html


def test_no_moment_is_a_dash() -> None:
    assert draw("{% ago then %}{% moment then %}{{ then|clock }}{{ then|day }}", then=None) == "––––"


def test_a_card_shows_a_quantity_with_its_unit_apart() -> None:
    html = draw('{% figure "Latency" value sub="p95" delta=d href="/x" %}', value=fmt.milliseconds(6920), d="↑ 4 %")

    assert "6.92 <small>s</small>" in html
    assert '<a class="figure" href="/x">' in html


def test_a_card_without_a_value_shows_a_dash_and_no_unit() -> None:
    html = draw('{% figure "Latency" value unit="s" %}', value=None)

    assert '<span class="val none">–</span>' in re.sub(r"\s+<", "<", html)
    assert "<small>" not in html


# ---- charts ----


def line(**more: Any) -> charts.Chart:
    at = [NOW + timedelta(hours=i) for i in range(3)]
    return charts.line_chart(label="Latency", at=at, series=[Series("p50", [1, 2, 3])], bucket="hour", **more)


def test_a_chart_has_a_table_behind_it_with_the_same_figures() -> None:
    html = draw("{% chart c %}", c=line(hrefs=["?a", "?b", "?c"], counts=[7, 8, 9], counted="requests"))

    assert 'aria-label="Latency"' in html
    assert html.count("<tr ") == 3
    assert html.count('href="?b"') == 2  # the mark and the row
    assert '<th scope="col" class="num" data-tone="1">' in html
    strict(html)


def test_marks_are_out_of_the_tab_order_since_the_table_has_their_links() -> None:
    html = draw("{% chart c %}", c=line(hrefs=["?a", "?b", "?c"]))

    picture = html.partition("<details")[0]
    assert picture.count("<a ") == picture.count('tabindex="-1"') == 3


def test_an_empty_chart_says_why() -> None:
    empty = charts.bar_chart(label="x", at=[NOW], series=[Series("a", [None])], empty="No errors in these 24 h.")

    html = draw("{% chart c %}", c=empty)

    assert "No errors in these 24 h." in html
    assert "<svg" not in html


def test_nothing_draws_nothing() -> None:
    assert draw("{% chart c %}", c=None) == ""


@pytest.mark.parametrize(
    "drawing",
    [
        line(before=HOSTILE, counted=HOSTILE, counts=[1, 2, 3], hrefs=[HOSTILE] * 3),
        charts.bar_chart(label=HOSTILE, at=[NOW], series=[Series(HOSTILE, [1]), Series("b", [2], href=HOSTILE)]),
        charts.hbars(label=HOSTILE, rows=[(HOSTILE, 1, HOSTILE)], subs=[HOSTILE], before=[2]),
        charts.histogram(label=HOSTILE, bins=[charts.Bin(0, math.inf, 1, HOSTILE)], measure=fmt.MS, counted=HOSTILE),
        charts.sparkline([1, 2], label=HOSTILE),
        charts.tiny_bars([1, 2], label=HOSTILE),
    ],
)
def test_charts_escape_what_they_are_given(drawing: Any) -> None:
    tags = strict(draw("{% chart c %}", c=drawing))

    assert "script" not in tags
    assert "img" not in tags


# ---- markdown ----


@given(st.text(max_size=300) | st.text(alphabet="<>[]()!`|*_#-\n \"'&:/javscriptdt", max_size=300))
def test_markdown_of_anything_is_safe(text: str) -> None:
    tags = strict(markdown.render(text))

    assert not {"script", "img", "style", "iframe", "h1", "h2", "h3"} & set(tags)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\tscript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](javascript:alert(1))",
        "<javascript:alert(1)>",
        '[x](https://a.b "onmouseover=alert(1)")',
        '![" onerror="alert(1)](https://a.b/c.png)',
        "<img src=x onerror=alert(1)>",
        '```"><img src=x>\nx\n```',
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_markdown_stops_the_usual_attacks(text: str) -> None:
    tags = strict(markdown.render(text))

    assert "script" not in tags
    assert "img" not in tags


def test_markdown_links_go_out_without_a_trace() -> None:
    html = markdown.render("[docs](https://example.com)")

    assert html == '<p><a href="https://example.com" rel="noopener noreferrer nofollow">docs</a></p>\n'


def test_markdown_images_become_links() -> None:
    assert ">image: a chart</a>" in markdown.render("![a chart](https://example.com/c.png)")


def test_markdown_tables_align_by_class_and_headings_start_below_the_pages_own() -> None:
    html = markdown.render("# Title\n\n| a | b |\n|---|--:|\n| 1 | 2 |")

    assert "<h4>Title</h4>" in html
    assert '<td class="num">2</td>' in html


def test_a_text_too_long_to_parse_is_shown_as_it_is() -> None:
    html = markdown.render("<b>" + "x" * markdown.LONGEST)

    assert html.startswith("<pre>&lt;b&gt;xxx")


@pytest.mark.parametrize("text", [None, ""])
def test_markdown_of_nothing_is_nothing(text: str | None) -> None:
    assert draw("{{ text|markdown }}", text=text) == ""


# ---- addresses ----


def test_qs_changes_some_parameters_and_keeps_the_rest() -> None:
    html = draw('{% qs model="gpt 5" after=None %}', path="/admin/ai?period=7d&after=abc&tag=a&tag=b")

    assert html == "?period=7d&amp;tag=a&amp;tag=b&amp;model=gpt+5"


def test_qs_is_never_empty_since_an_empty_href_would_keep_the_old_query() -> None:
    assert draw("{% qs period=None %}", path="/admin?period=7d") == "?"


def test_a_get_form_keeps_the_rest_of_the_query() -> None:
    html = draw('{% hidden_query "q" %}', path='/admin?q=x&period=7d&model="><b>')

    assert html.count("<input") == 2
    assert 'name="period" value="7d"' in html
    assert "<b>" not in html


def test_paging_keeps_filters_and_leaves_out_what_there_is_not() -> None:
    html = draw('{% pagination next="c2" shown=25 total=1047 words="conversation,conversations" target="#list" %}',
                path="/admin/ai/conversations?rating=down&before=c0")  # fmt: skip

    assert 'href="?rating=down&amp;after=c2"' in html
    assert 'hx-get="?rating=down&amp;after=c2"' in html
    assert 'rel="prev"' not in html
    assert "25 of 1,047\u00a0conversations" in html


@pytest.mark.parametrize(
    ("path", "href", "direction"),
    [
        ("/x", "?sort=-times", ""),
        ("/x?sort=-times&after=c", "?sort=times", "descending"),
        ("/x?sort=times", "?sort=-times", "ascending"),
    ],
)
def test_a_table_head_sorts_and_says_how(path: str, href: str, direction: str) -> None:
    html = draw('{% th "Times" sort="times" num=True %}', path=path)

    assert f'href="{href}"' in html
    assert (f'aria-sort="{direction}"' in html) == bool(direction)


# ---- forms ----


class Sample(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="Yours.")
    stay = forms.BooleanField(label="Stay", required=False)
    secret = forms.CharField(widget=forms.HiddenInput, required=False)


def test_a_field_is_tied_to_its_label_help_and_errors() -> None:
    html = draw("{% field form.email autofocus=True %}", form=Sample({"email": HOSTILE}))

    assert '<label class="name" for="id_email">' in re.sub(r"\s+", " ", html)
    assert 'aria-describedby="id_email_help id_email_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_email_error"' in html
    assert " autofocus" in html
    assert "script" not in strict(html)


def test_a_field_without_errors_is_not_marked() -> None:
    html = draw("{% field form.email %}", form=Sample())

    assert "aria-invalid" not in html
    assert 'aria-describedby="id_email_help"' in html


def test_a_hidden_field_has_no_label() -> None:
    assert "<label" not in draw("{% field form.secret %}", form=Sample())


# ---- blocks, marks, states ----


def test_a_panel_escapes_its_title_and_keeps_its_content() -> None:
    html = draw("{% panel title sub=title %}<p>{{ title }}</p>{% endpanel %}", title=HOSTILE)

    assert strict(html) == ["section", "header", "h2", "span", "p"]


def test_a_table_scrolls_by_itself_and_by_keyboard() -> None:
    html = draw('{% scroll "Sessions" %}<table></table>{% endscroll %}')

    assert 'role="region" tabindex="0" aria-label="Sessions"' in html


def test_every_icon_that_is_named_exists() -> None:
    shapes = set(re.findall(r'id="i-([a-z-]+)"', (STATIC / "img" / "icons.svg").read_text()))
    sources = [path.read_text() for path in (Path(settings.BASE_DIR) / "templates").rglob("*.html")]
    named = set(re.findall(r'{% icon "([a-z-]+)"', "\n".join(sources)))

    assert named <= shapes


def test_an_icon_is_silent_unless_it_is_named() -> None:
    assert 'aria-hidden="true"' in draw('{% icon "home" %}')
    assert 'role="img" aria-label="Thumbs-up"' in draw('{% icon "thumb-up" "Thumbs-up" %}')


@pytest.mark.parametrize(("share", "width"), [(0.31, "31.0"), (None, "0"), (7, "100"), (-1, "0"), (math.nan, "0")])
def test_a_meter_stays_between_nothing_and_full(share: float | None, width: str) -> None:
    assert f'class="fg" width="{width}"' in draw('{% meter share "some" %}', share=share)


def test_what_went_wrong_has_the_tone_and_icon_of_it() -> None:
    messages = [SimpleNamespace(level=level) for level in (constants.INFO, constants.SUCCESS, constants.ERROR)]

    html = draw("{% for t in m|toned %}{{ t.tone }}/{{ t.icon }} {% endfor %}", m=messages)

    assert html == "/info good/check bad/alert "


def test_a_turn_shows_questions_as_text_and_answers_as_markdown() -> None:
    turn = {"who": HOSTILE, "asks": True, "text": f"**no** {HOSTILE}", "voices": [], "tools": []}

    question = render_to_string("components/turn.html", {"turn": turn})
    answer = render_to_string("components/turn.html", {"turn": {**turn, "asks": False}})

    assert "**no**" in question
    assert "<strong>no</strong>" in answer
    assert "script" not in strict(question + answer)


def test_feedback_shows_the_humans_answer_beside_the_models() -> None:
    html = render_to_string("components/voice.html", {"rating": "down", "comment": HOSTILE, "edited": "**Better**"})

    assert "<strong>Better</strong>" in html
    assert "script" not in strict(html)


# ---- whole pages ----


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_no_context_and_hold_the_csp(name: str) -> None:
    html = get_template(f"{name}.html").render()

    tags = strict(html)
    assert tags.count("h1") == 1
    assert 'href="/admin"' in html


def person() -> SimpleNamespace:
    return SimpleNamespace(
        full_name="Ines Marchetti", email="ines@example.com", is_authenticated=True, get_role_display="super admin"
    )


@pytest.mark.parametrize("theme", ["", "light", "dark"])
def test_the_living_page_shows_every_part_and_holds_the_csp(settings: Any, theme: str) -> None:
    settings.DEBUG = True
    request = RequestFactory().get("/admin/_styleguide", {"sort": "-times"})
    request.user = person()  # type: ignore[assignment]
    request.COOKIES["theme"] = theme
    request._messages = []  # type: ignore[attr-defined]
    request.resolver_match = SimpleNamespace(view_name="styleguide")  # type: ignore[assignment]

    html = styleguide(request).content.decode()

    tags = strict(html)
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    assert ('data-theme="dark"' in html) == (theme == "dark")
    assert "NaN" not in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)), "an id stands twice"


def test_the_living_page_is_only_for_debugging(settings: Any) -> None:
    settings.DEBUG = False

    with pytest.raises(Http404):
        styleguide(RequestFactory().get("/admin/_styleguide"))


# ---- style sheets and script ----


def test_every_width_a_label_may_wait_for_is_in_the_style_sheet() -> None:
    css = (STATIC / "css" / "charts.css").read_text()

    for width in charts.scale.THRESHOLDS[1:]:
        assert f"(min-width: {width}px) {{ .w-{width} {{" in css


def test_style_sheets_load_nothing_from_elsewhere() -> None:
    for path in (STATIC / "css").glob("*.css"):
        assert not re.search(r"@import|https?://|\burl\((?!#)", path.read_text()), path.name


def test_the_script_has_nothing_the_csp_would_block() -> None:
    script = (STATIC / "js" / "app.js").read_text()

    assert not re.search(r"\beval\(|new Function|innerHTML|insertAdjacentHTML|setAttribute\(\"style\"", script)


def contrast(first: str, second: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    a, b = sorted((luminance(first), luminance(second)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_the_contrast_that_aa_asks_for(dark: bool) -> None:
    css = (STATIC / "css" / "frame.css").read_text()
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    colour = {name: pair[dark] for name, *pair in found}

    for ink in ("ink", "ink-2", "ink-3", "accent", "warn", "bad", "good"):
        for ground in ("paper", "surface", "sunken", "hover"):
            assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
    softs = [(tone, f"{tone}-soft") for tone in ("accent", "good", "warn", "bad")]
    for ink, ground in [("accent-ink", "accent"), ("ink", "bad-soft"), ("ink-2", "bad-soft"), *softs]:
        assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
    for mark in ("edge", "s1", "s2", "s3", "s4", "s5"):
        assert contrast(colour[mark], colour["surface"]) >= 3, mark
