"""What a funnel is: sound ones are stored as versions, others are refused with what to write instead."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from activity.funnel_models import Funnel
from activity.funnels import definition, evidence
from tests.activity.funnel_oracle import IN_ORDER, WINDOW, ship

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shipped():
    ship()


def steps_with(**first: Any) -> list[dict[str, Any]]:
    return [{**IN_ORDER[0], **first}, *IN_ORDER[1:]]


def test_those_that_ship_are_sound():
    for row in Funnel.objects.filter(slug__in=("onboarding", "activation")):
        row.full_clean(validate_constraints=False)
    told = definition.Definition.of(Funnel.objects.get(slug="onboarding"))
    assert [step.label for step in told.steps] == [
        "Registration started",
        "Registered",
        "Signed in",
        "Portfolio started",
        "Portfolio made",
    ]
    assert told.window == dt.timedelta(days=14)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({}, "a list of 2 to 8 steps"),
        ([IN_ORDER[0]], "a list of 2 to 8 steps"),
        ([IN_ORDER[0]] * 9, "a list of 2 to 8 steps"),
        ([1, IN_ORDER[0]], "Step 1 is no object"),
        (steps_with(colour="red"), "Step 1: “colour” is not known"),
        (steps_with(name="Signed in"), "Step 1: a name is of small letters"),
        (steps_with(name="asked"), "Step 2: there is a step “asked” already"),
        (steps_with(label=" "), "Step 1: its label is what people read"),
        (steps_with(events="onboarding.login_success"), "Step 1: events is a list of texts"),
        (steps_with(events=[]), "Step 1: say what proves it"),
        (steps_with(events=["*"]), "Step 1: “*” is no event type"),
        (steps_with(events=["record:user"]), "is no event type"),
        (steps_with(records=["thumbs_sideways"]), "there is no record “thumbs_sideways”: take one of user, portfolio"),
        (steps_with(proved_by=["auth.logout"]), "Step 3: “auth.logout” proves “signed_in” already"),
        (steps_with(records=["portfolio"]), "Step 2: “record:portfolio” proves “signed_in” already"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps, told):
    with pytest.raises(ValidationError) as refused:
        definition.new_version("mine", name="Mine", steps=steps, window=WINDOW, is_implied=False)

    assert told in str(refused.value.message_dict["steps"])
    assert not Funnel.objects.filter(slug="mine").exists()


@pytest.mark.parametrize("window", [dt.timedelta(0), -WINDOW, dt.timedelta(days=9999), None])
def test_a_window_that_makes_no_sense_is_refused(window):
    with pytest.raises(ValidationError) as refused:
        definition.new_version("mine", name="Mine", steps=IN_ORDER, window=window, is_implied=False)

    assert "conversion_window" in refused.value.message_dict


def test_the_database_itself_refuses_what_no_form_has_seen():
    for wrong in ({"slug": "Not a slug"}, {"version": 0}, {"conversion_window": dt.timedelta(0)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Funnel.objects.create(**{"slug": "mine", "name": "Mine", "steps": IN_ORDER, **wrong})


def test_an_exact_type_goes_before_its_category():
    from django.db import connection
    from psycopg import sql

    row = Funnel(
        pk=1,
        slug="chat",
        name="Chat",
        steps=[
            {"name": "chat", "label": "Chat", "events": ["chat.*"]},
            {"name": "rated", "label": "Rated", "events": ["chat.feedback_given"], "records": ["user"]},
        ],
    )
    row.clean()
    step = definition.Definition.of(row).step_sql(sql.Identifier("what"))
    query = sql.SQL("SELECT {} FROM unnest(%s::text[]) AS types (what)").format(step)
    with connection.cursor() as cursor:
        cursor.execute(query, [["chat.x", "chat.feedback_given", "chat", "chatter.x", evidence.what("user")]])
        assert [number for (number,) in cursor.fetchall()] == [1, 2, None, None, 2]


def test_unknown_funnels_versions_and_steps_are_named_with_those_there_are():
    with pytest.raises(definition.UnknownFunnelError, match="no funnel “x”: there are activation, onboarding"):
        definition.current("x")
    with pytest.raises(definition.UnknownFunnelError, match="still being built"):
        definition.current("onboarding")
    with pytest.raises(definition.UnknownFunnelError, match="no version 7"):
        definition.version("onboarding", 7)
    with pytest.raises(definition.UnknownFunnelError, match="its steps are registration_started, registered"):
        definition.version("onboarding", 1).number_of("paid")


def test_evidence_of_one_name_is_registered_once():
    def none(since):
        return iter(())

    with pytest.raises(ValueError, match="evidence named “portfolio” already"):
        evidence.register(evidence.External("portfolio", "Portfolios", none))
    with pytest.raises(ValueError, match="evidence named “thumbs_up” already"):
        evidence.register(evidence.External("thumbs_up", "Thumbs", none))


def form(**changes: Any) -> dict[str, Any]:
    import json

    row = Funnel.objects.get(slug="onboarding", version=1)
    values = {
        "slug": row.slug,
        "name": row.name,
        "steps": json.dumps(row.steps),
        "conversion_window": "14 00:00:00",
        "is_implied": "on",
        "is_active": "on",
        **changes,
    }
    return {key: value for key, value in values.items() if value}


def test_a_super_admin_adds_a_funnel(as_super_admin):
    import json

    response = as_super_admin.post(
        reverse("admin:activity_funnel_add"),
        form(slug="mine", name="Mine", steps=json.dumps(IN_ORDER), is_implied=""),
    )

    assert response.status_code == 302
    row = Funnel.objects.get(slug="mine")
    assert (row.version, row.is_implied, row.build_next, row.built_at) == (1, False, 0, None)


def test_a_change_of_steps_in_the_admin_is_a_new_version(as_super_admin):
    old = Funnel.objects.get(slug="onboarding")
    url = reverse("admin:activity_funnel_change", args=[old.pk])

    as_super_admin.post(url, form(name="Getting started"))
    assert [row.name for row in Funnel.objects.filter(slug="onboarding")] == ["Getting started"]
    as_super_admin.post(url, form(conversion_window="7 00:00:00", name="Getting started"))

    first, second = Funnel.objects.filter(slug="onboarding").order_by("version")
    assert (first.conversion_window, second.conversion_window) == (WINDOW, WINDOW / 2)
    assert (second.version, second.name, second.is_implied) == (2, "Getting started", True)


def test_a_funnel_that_makes_no_sense_is_refused_in_the_admin(as_super_admin):
    response = as_super_admin.post(reverse("admin:activity_funnel_add"), form(slug="Mine!", steps="[]"))

    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert "small letters" in str(errors["slug"])
    assert "a list of 2 to 8 steps" in str(errors["steps"])


def test_an_admin_may_look_and_nobody_may_delete(as_admin, as_super_admin):
    row = Funnel.objects.get(slug="onboarding")
    assert as_admin.get(reverse("admin:activity_funnel_changelist")).status_code == 200
    assert as_super_admin.get(reverse("admin:activity_funnel_delete", args=[row.pk])).status_code == 403
