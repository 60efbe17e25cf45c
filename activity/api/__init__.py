"""The JSON API of this app: onboarding."""

from activity.api.onboarding import router

__all__ = ["router"]
