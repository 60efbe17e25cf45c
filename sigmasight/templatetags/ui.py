"""Tags and filters of the design system: thin, over ``lib.format`` and ``lib.charts``. A builtin: no ``{% load %}``.

How each is used, with all its states: /admin/_styleguide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any

from django import template
from django.contrib.messages import constants
from django.forms import BaseForm, BoundField, CheckboxInput
from django.http import QueryDict
from django.template.context import Context
from django.template.loader_tags import BLOCK_CONTEXT_KEY
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from sigmasight import markdown as md
from sigmasight.lib import format as fmt
from sigmasight.lib.charts import Chart, HBars, Spark, markup
from sigmasight.lib.useragent import browser
from sigmasight.lib.zones import clock_name, here

register = template.Library()

# ---- figures ----


def _figure(show: Callable[..., fmt.Quantity]) -> Callable[..., fmt.Quantity]:
    """The filter of a figure: what a template doesn't find is "" to Django, and not known to us."""

    @wraps(show)
    def shown(value: Any, *more: Any) -> fmt.Quantity:
        return show(None if value == "" else value, *more)

    return shown


register.filter("count", _figure(fmt.count))
register.filter("compact", _figure(fmt.compact))
register.filter("ms", _figure(fmt.milliseconds))
register.filter("percent", _figure(fmt.percent))
register.filter("usd", _figure(fmt.usd))
register.filter("filesize", _figure(fmt.filesize))
register.filter("duration", _figure(fmt.duration))
register.filter("initials", fmt.initials)
register.filter("browser", browser)


@register.filter
def known(value: object) -> str:
    """The value, or an en dash where there's none."""
    return fmt.NOTHING if value is None or value == "" else str(value)


@register.filter
def plural(number: float | None, words: str) -> str:
    """The number with its word: ``{{ n|plural:"person,people" }}`` gives ``1 person``, ``1,047 people``."""
    return f"{fmt.count(number)}{fmt.NBSP}{word(number, words)}"


@register.filter
def word(number: float | None, words: str) -> str:
    """Only the word: ``{{ n|word:"person,people" }}``."""
    one, _, many = words.partition(",")
    return one if number == 1 else many or one + "s"


@register.filter
def add_px(value: float, more: float) -> str:
    """The sum of two coordinates (``|add`` would cut off the decimals)."""
    return f"{value + more:g}"


@register.filter
def words(text: str) -> list[str]:
    """The words of a text, to loop over."""
    return text.split()


# ---- time ----


@register.simple_tag
def ago(then: datetime | None, plain: bool = False) -> str:
    """``41 s ago`` as a ``<time>`` with the exact moment on hover. ``plain`` leaves out "ago"."""
    if then is None:
        return fmt.NOTHING
    now = timezone.now()
    return _time(then, fmt.age(then, now) if plain else fmt.ago(then, now))


@register.simple_tag
def moment(then: datetime | None) -> str:
    """``07:59`` today, ``21 Nov 05:52`` before, as a ``<time>`` exact on hover, by the admin's clock."""
    if then is None:
        return fmt.NOTHING
    return _time(then, fmt.moment(then, timezone.now(), timezone.get_current_timezone()))


@register.filter
def clock(then: datetime | None) -> str:
    """``05:52:07``, by the admin's clock; ``|zone`` says which that is."""
    return fmt.NOTHING if then is None else f"{here(then):%H:%M:%S}"


@register.filter
def zone(then: datetime | None) -> str:
    """What the admin's clock is called at that time: ``UTC``, ``CET``."""
    return clock_name(then or None)


@register.filter
def day(value: date | datetime | None) -> str:
    """``22 Nov 2026``: of a moment, by the admin's clock; a date as it is."""
    if isinstance(value, datetime):
        value = here(value)
    return fmt.NOTHING if value is None else f"{value.day}{fmt.NBSP}{value:%b}{fmt.NBSP}{value:%Y}"


@register.filter
def exactly(then: datetime | None) -> str:
    """The moment in full, by the admin's clock: ``22 Nov 2026, 07:59:18 CET``."""
    return fmt.exact(then, timezone.get_current_timezone())


def _time(then: datetime, text: str) -> SafeString:
    iso = then.astimezone(UTC).isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, exactly(then), text)


# ---- small marks ----


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A 16-px icon from static/img/icons.svg. Hidden from assistive technology unless it has a ``label``."""
    href = f"{static('img/icons.svg')}#i-{name}"
    if label:
        return format_html(
            '<svg class="icon" viewBox="0 0 16 16" role="img" aria-label="{}"><use href="{}"/></svg>', label, href
        )
    return format_html('<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><use href="{}"/></svg>', href)


@register.simple_tag
def avatar(name: str) -> SafeString:
    """Initials in a circle; the name itself must stand beside it."""
    return format_html('<span class="face" aria-hidden="true">{}</span>', fmt.initials(name or ""))


@register.simple_tag
def tag(text: str, tone: str = "", href: str = "", icon_name: str = "") -> SafeString:
    """A short label. ``tone``: "", "on", "good", "warn", "bad". With ``href`` it's a link."""
    mark: str = icon(icon_name) if icon_name else ""
    kind = f"tag {tone}".strip()
    if href:
        return format_html('<a class="{}" href="{}">{}{}</a>', kind, href, mark, text)
    return format_html('<span class="{}">{}{}</span>', kind, mark, text)


@register.simple_tag
def meter(share: float | None, label: str, full: bool = False) -> SafeString:
    """A thin bar filled to ``share`` (0 to 1). ``label`` says it in words."""
    width = round(min(max(fmt.known(share) or 0, 0), 1) * 100, 1)
    return format_html(
        '<svg class="meter{}" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="bg" width="100" height="4"/><rect class="fg" width="{}" height="4"/></svg>',
        " full" if full else "",
        label,
        width,
    )


@register.filter(is_safe=True)
def markdown(text: str | None) -> SafeString:
    """Markdown as HTML, safe whoever wrote it; put it into ``<div class="prose">``."""
    return mark_safe(md.render(text))  # noqa: S308 (sigmasight.markdown escapes everything it doesn't make itself)


# ---- charts and figures ----


@register.simple_tag
def chart(drawing: Chart | HBars | Spark | None, names: str = "") -> SafeString:
    """Draws what ``lib.charts`` computed; ``None`` draws nothing."""
    if drawing is None:
        return SafeString("")
    if isinstance(drawing, Chart):
        return SafeString(markup.chart_html(drawing))
    if isinstance(drawing, HBars):
        return SafeString(markup.hbars_html(drawing))
    return SafeString(markup.spark_html(drawing, names))


@register.simple_tag
def figure(
    name: str,
    value: object,
    *,
    unit: str = "",
    sub: str = "",
    href: str = "",
    delta: object = "",
    tone: str = "",
    spark: Spark | None = None,
    exactness: str = "exact",
    age: object = "",
) -> SafeString:
    """A card for ``<ul class="figures">``. ``value`` is a Quantity or text, ``unit`` overrides its unit.

    ``sub`` qualifies the name; ``tone`` colours the delta, and is only for what is outside its usual range; ``age`` is
    when the figure was made (a datetime or text). Unknown values show a dash and no delta.
    """
    number, own = (
        (value.number, value.unit) if isinstance(value, fmt.Quantity) else (fmt.NOTHING if value is None else value, "")
    )
    if isinstance(age, datetime):
        age = fmt.age(age, timezone.now())
    known = number != fmt.NOTHING
    tag = "a" if href else "div"
    return format_html(
        '<li><{tag} class="figure"{href}><span class="name">{name}{sub}</span><span class="{val}">{number}{unit}</span>'
        '<span class="{tone}" title="{delta}">{delta}</span>{spark}'
        '<span class="meta"><span>{exactness}</span><span>{age}</span></span></{tag}></li>',
        tag=SafeString(tag),
        href=format_html(' href="{}"', href) if href else "",
        name=name,
        sub=format_html(' <span class="mute">{}</span>', sub) if sub else "",
        val="val" if known else "val none",
        number=number,
        unit=format_html(" <small>{}</small>", unit or own) if known and (unit or own) else "",
        delta=delta,
        tone=f"delta {tone}".strip(),
        spark=chart(spark or None),
        exactness=exactness,
        age=age,
    )


# ---- blocks ----


@register.simple_block_tag(takes_context=True)
def panel(
    context: Context,
    content: str,
    title: str,
    sub: object = "",
    acts: Iterable[tuple[str, str]] = (),
    foot: object = "",
    id: str = "",  # noqa: A002
    csv: str = "",
) -> SafeString:
    """A titled surface round its content. ``acts`` are links in the header: ``(text, href)``. ``csv`` is the page's
    name for its table as a file, to which a link leads that keeps the page's filters (``lib.csvfile.asked_file``).
    """
    links = format_html_join("", '<a href="{1}">{0}</a>', list(acts))
    if csv:
        links += csv_link(context, csv)
    return format_html(
        '<section class="panel"{}><header><h2>{}</h2>{}{}</header>{}{}</section>',
        format_html(' id="{}"', id) if id else "",
        title,
        format_html('<span class="sub">{}</span>', sub) if sub else "",
        format_html('<span class="acts">{}</span>', links) if links else "",
        content,
        format_html("<footer>{}</footer>", foot) if foot else "",
    )


@register.simple_tag(takes_context=True)
def csv_link(context: Context, table: str, text: str = "CSV") -> SafeString:
    """A link to a table of this page as a file, with the page's filters. ``text`` where "CSV" would not say of what."""
    href = qs(context, format="csv", table=table, after=None, before=None)
    return format_html(
        '<a href="{}" download aria-label="{}">{}</a>', href, "This table as CSV" if text == "CSV" else text, text
    )


@register.simple_block_tag
def scroll(content: str, label: str, id: str = "") -> SafeString:  # noqa: A002
    """Round a table: it scrolls sideways by itself where it's wider than its place, by keyboard too. To its ``id`` an
    address may lead, from where the next Tab is the first row."""
    return format_html(
        '<div class="table-wrap"{} role="region" tabindex="0" aria-label="{}">{}</div>',
        format_html(' id="{}"', id) if id else "",
        label,
        content,
    )


@register.simple_tag(takes_context=True)
def repeat_block(context: Context, name: str) -> str:
    """Renders a ``{% block %}`` once more, as text: the page's title in its heading."""
    blocks = context.render_context.get(BLOCK_CONTEXT_KEY)
    block = blocks.get_block(name) if blocks else None
    return block.render(context).strip() if block else SafeString("")


# ---- addresses ----


def _query(context: Context) -> QueryDict:
    request = context.get("request")
    return request.GET.copy() if request else QueryDict(mutable=True)


@register.simple_tag(takes_context=True)
def qs(context: Context, **changes: Any) -> str:
    """The page's query string with changes: ``{% qs model="gpt-5" after=None %}``. ``None`` or "" takes a key out.

    Unlike ``{% querystring %}`` it's never empty (an empty ``href`` would keep the old query): at least ``?``.
    """
    query = _query(context)
    for key, value in changes.items():
        if value is None or value == "":
            query.pop(key, None)
        elif isinstance(value, list | tuple):
            query.setlist(key, [str(v) for v in value])
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def hidden_query(context: Context, *without: str, form: BaseForm | None = None) -> SafeString:
    """The page's query string as hidden inputs, for a GET form that must keep the rest of it.

    Left out are the keys named, and the fields of ``form``: ``{% hidden_query "after" form=form %}``.
    """
    out = {*without, *(form.fields if form is not None else ())}
    pairs = [(key, value) for key, values in _query(context).lists() if key not in out for value in values]
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', pairs)


@register.inclusion_tag("components/th.html", takes_context=True)
def th(
    context: Context, label: str, sort: str = "", num: bool = False, default: str = "", hide: bool = False
) -> dict[str, Any]:
    """A table head that sorts: ``?sort=times`` and ``?sort=-times``. ``default`` is the order without a parameter."""
    now = _query(context).get("sort") or default
    direction = "ascending" if now == sort else "descending" if now == f"-{sort}" else ""
    first = f"-{sort}" if num else sort
    target = first if not direction else (sort if direction == "descending" else f"-{sort}")
    return {
        "label": label,
        "num": num,
        "hide": hide,
        "direction": direction,
        "href": qs(context, sort=target, after=None, before=None, page=None),
    }


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(
    context: Context,
    *,
    next: str | None = None,  # noqa: A002
    previous: str | None = None,
    shown: int | None = None,
    total: int | None = None,
    about: bool = False,
    words: str = "row,rows",
    note: str = "",
    target: str = "",
) -> dict[str, Any]:
    """Keyset paging. ``next`` and ``previous`` are cursors for ``?after=`` and ``?before=``; ``None``: no such page.

    ``total`` may be unknown, or an estimate (``about``). ``target`` is the CSS selector htmx swaps; without it these
    are ordinary links.
    """
    return {
        "next_href": qs(context, after=next, before=None) if next else "",
        "previous_href": qs(context, before=previous, after=None) if previous else "",
        "shown": shown,
        "total": total,
        "about": about,
        "words": words,
        "note": note,
        "target": target,
    }


# ---- forms ----


@register.simple_tag
def control(bound: BoundField) -> SafeString:
    """Only the control of a form field, in the look's clothes; a label must stand beside it."""
    return bound.as_widget(attrs={"class": f"field {bound.field.widget.attrs.get('class', '')}".strip()})


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, label: str = "", grow: bool = False, **attrs: Any) -> dict[str, Any]:
    """A form field with its label, help and errors, tied together for assistive technology.

    Further keywords become attributes of the control: ``{% field form.email autofocus=True %}``; underscores become
    hyphens.
    """
    check = isinstance(bound.field.widget, CheckboxInput)
    extra: dict[str, Any] = {name.replace("_", "-"): value for name, value in attrs.items()}
    if not check:
        extra["class"] = f"field {bound.field.widget.attrs.get('class', '')}".strip()
    described = [f"{bound.auto_id}_help"] if bound.help_text and bound.auto_id else []
    if bound.errors and bound.auto_id:
        described.append(f"{bound.auto_id}_error")
        extra["aria-invalid"] = "true"
    if described:
        extra["aria-describedby"] = " ".join(described)
    return {
        "bound": bound,
        "label": label or bound.label,
        "control": bound.as_widget(attrs=extra),
        "check": check,
        "grow": grow,
        "hidden": bound.is_hidden,
    }


# ---- toasts ----

_TONES: Mapping[int, tuple[str, str]] = {
    constants.SUCCESS: ("good", "check"),
    constants.WARNING: ("warn", "alert"),
    constants.ERROR: ("bad", "alert"),
}


@register.filter
def toned(messages: Iterable[Any] | None) -> list[dict[str, Any]]:
    """Django's messages with the tone and icon of a toast."""
    found = []
    for message in messages or ():
        tone, mark = _TONES.get(message.level, ("", "info"))
        found.append({"text": message, "tone": tone, "icon": mark})
    return found
