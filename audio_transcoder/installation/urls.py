"""Every address of a transcoder alone: the API, health, and the admin for operators."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from audio_transcoder.health import health
from audio_transcoder.installation.sign_in import limit_guessing

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Elastic Transcoder"
admin.site.site_url = None  # there is no site to view
admin.site.login = limit_guessing(admin.site.login)

handler500 = "audio_transcoder.middleware.server_error"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    # Machines call these.
    path("health/", health, name="health"),
    path("", include("elastic_transcoder.urls")),
]
