"""/admin/login, sign-out, /admin/account."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from admin_portal.auth import PasswordForm, SignInForm
from admin_portal.models import AdminSession, AdminUser
from admin_portal.querysets import AdminSessionQuerySet
from admin_portal.sessions import SessionStore
from sigmasight.lib.zones import zone, zone_names

ENDED_SHOWN = 20


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """The one page that is open to everybody."""

    template_name = "admin_portal/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends this session at once: its row is marked before the answer goes out."""
    from django.contrib.auth import logout

    logout(request)
    return redirect("login")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """One's own sessions and password."""
    admin = cast("AdminUser", request.user)
    form = PasswordForm(admin, request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        update_session_auth_hash(request, admin)
        ended = AdminSession.objects.of(admin.pk).revoke()
        messages.success(request, f"Password changed. {_sessions(ended)} ended; this one goes on.")
        return redirect("account")
    sessions = AdminSession.objects.of(admin.pk).newest_first()
    return render(
        request,
        "admin_portal/account.html",
        {
            "form": form,
            "zones": zone_names(),
            "zone": admin.timezone or "UTC",
            "live": sessions.live(),
            "ended": sessions.ended()[:ENDED_SHOWN],
            "current_id": cast("SessionStore", request.session).row_id,
        },
        status=422 if form.is_bound else 200,
    )


@require_POST
def own_timezone(request: HttpRequest) -> HttpResponse:
    """Whose clock times are shown by, from now on."""
    admin, name = cast("AdminUser", request.user), request.POST.get("timezone", "")
    if zone(name) is None:
        messages.error(request, f"There is no time zone “{name[:40]}”: pick one of the list.")
    else:
        admin.timezone = name
        admin.save(update_fields=["timezone", "updated_at"])
        messages.success(request, f"Times are shown in {name} from now on. Days stay UTC days, for everybody.")
    return redirect("account")


@require_POST
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Ends one of one's own sessions."""
    if not _own_sessions(request).filter(pk=session_id).exists():
        raise Http404("No such session of yours.")
    _own_sessions(request).filter(pk=session_id).revoke()
    messages.success(request, "Session ended.")
    return redirect("account")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Ends all of one's own sessions but this one."""
    current = cast("SessionStore", request.session).row_id
    ended = _own_sessions(request).exclude(pk=current).revoke()
    messages.success(request, f"{_sessions(ended)} ended.")
    return redirect("account")


def _own_sessions(request: HttpRequest) -> AdminSessionQuerySet:
    return AdminSession.objects.of(cast("AdminUser", request.user).pk)


def _sessions(count: int) -> str:
    return "1 other session" if count == 1 else f"{count} other sessions"
