"""What supervisors and balancers ask."""

import pytest

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def test_ready_names_every_check(client):
    assert client.get("/readyz").json() == {
        "status": "ready",
        "checks": {"gondola": "ok", "metro": "ok", "redis": "ok", "migrations": "ok"},
    }


def test_metro_away_is_said_and_makes_it_unready(client, away):
    away("metro")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["metro"] == "no answer"
    assert response.json()["checks"]["gondola"] == "ok"


def test_a_check_can_be_left_out(client, away):
    away("metro")
    assert client.get("/readyz?exclude=metro&exclude=migrations").status_code == 200


def test_redis_away_is_said(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["redis"] == "no answer"


def test_alive_touches_no_database(client, away):
    away("default")
    away("metro")
    assert client.get("/healthz").status_code == 200


def test_a_migration_not_applied_is_said(client):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="metrics").latest("name").delete()
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "1 to apply: run `manage.py migrate`"


def test_every_answer_carries_a_request_id(client):
    assert len(client.get("/healthz")["X-Request-ID"]) == 32
    assert client.get("/healthz", HTTP_X_REQUEST_ID="abc-1")["X-Request-ID"] == "abc-1"
    assert client.get("/healthz", HTTP_X_REQUEST_ID="bad id\n")["X-Request-ID"] != "bad id\n"


def test_a_probe_with_somebodys_cookie_does_not_depend_on_the_database(as_admin, away):
    away("default")
    assert as_admin.get("/healthz").status_code == 200


def test_an_address_that_is_none_is_no_answer_either(client, settings):
    settings.REDIS_URL = "nonsense"
    assert client.get("/readyz").json()["checks"]["redis"] == "no answer"
