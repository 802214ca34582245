"""Every address of the site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from audio_transcoder import views
from audio_transcoder.health import health
from audio_transcoder.webhook import transcode_complete

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Audio Transcoder"
admin.site.login = secure_admin_login(admin.site.login)

audio = (
    [
        path("", views.library, name="list"),
        path("upload/", views.UploadAudioFileView.as_view(), name="upload"),
        path("<uuid:code>/", views.detail, name="detail"),
        path("<uuid:code>/state/", views.file_state, name="state"),
        path("<uuid:code>/row/", views.library_row, name="row"),
        path("<uuid:code>/order/", views.order, name="order"),
        path("<uuid:code>/retry/", views.retry, name="retry"),
        path("<uuid:code>/cancel/", views.cancel, name="cancel"),
        path("<uuid:code>/delete/", views.delete, name="delete"),
        path("<uuid:code>/download/<str:rendition>/", views.download, name="download"),
        path("<uuid:code>/listen/<str:rendition>/", views.listen, name="listen"),
    ],
    "audio",
)

handler500 = "audio_transcoder.middleware.server_error"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("audio/", include(audio)),
    path("messages/", include("transcode_messages.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    # Machines call these.
    path("transcode-complete/", transcode_complete, name="transcode-complete"),
    path("health/", health, name="health"),
    path("", include("elastic_transcoder.urls")),
]
