"""What happens at sign-in besides signing in."""

from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from admin_portal.sessions import SessionStore
from sigmasight.lib.http import client_ip


@receiver(user_logged_in)
def note_where_from(sender: Any, request: HttpRequest, **kwargs: Any) -> None:
    """The session's row tells where the sign-in came from."""
    if isinstance(request.session, SessionStore):
        request.session.signed_in(client_ip(request), request.headers.get("User-Agent"))
