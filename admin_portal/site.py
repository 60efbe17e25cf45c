"""Django's admin, at /admin/db/: every row of both databases. `admin` may look, `super_admin` may change."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class HouseAdminSite(AdminSite):
    site_title = "SigmaSight Admin"
    site_header = "Raw tables"
    index_title = "Raw tables"
    site_url = "/admin"

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_authenticated


site = HouseAdminSite(name="admin")
