"""Small things about requests that every app needs."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import is_valid_path
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.http import escape_leading_slashes


def client_ip(request: HttpRequest) -> str:
    """The address the request came from, as text.

    Behind TRUSTED_PROXY_COUNT proxies it is the one that the outermost of them saw: counted from the right of
    X-Forwarded-For, since what stands further left is only what the client claims. "" where nothing is known.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    hops = settings.TRUSTED_PROXY_COUNT
    if not hops:
        return peer
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if len(forwarded) < hops:
        return peer
    try:
        # Without the zone of an IPv6 address: it means something only there, and may be of any length.
        return str(ipaddress.ip_address(forwarded[-hops].partition("%")[0]))
    except ValueError:
        return peer


class TrailingSlashMiddleware:
    """`/admin/ai/` leads to `/admin/ai`: our own pages have no trailing slash, and people type one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if (
            len(path) > 1
            and request.method in {"GET", "HEAD"}
            and not is_valid_path(path)
            and is_valid_path(other := path.rstrip("/") if path.endswith("/") else path + "/")
        ):
            target = escape_uri_path(request.path.removesuffix(path) + other)
            if query := request.META.get("QUERY_STRING"):
                target += "?" + (iri_to_uri(query) or "")
            return HttpResponsePermanentRedirect(escape_leading_slashes(target))
        return self.get_response(request)


class NoStoreMiddleware:
    """No page is kept by a browser or a proxy, unless its view says otherwise: after sign-out, Back shows nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response
