"""Every address of the site."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from audio_transcoder.health import health
from audio_transcoder.views import (
    account,
    dashboard,
    direct_uploads,
    labels,
    library,
    media,
    one_file,
    robots,
    several,
    sharing,
)
from audio_transcoder.views.upload_form import UploadAudioFileView
from audio_transcoder.webhook import transcode_complete

admin.autodiscover()
admin.site.site_header = admin.site.site_title = "Audio Transcoder"
admin.site.login = secure_admin_login(admin.site.login)

audio = (
    [
        path("", library.library, name="list"),
        path("upload/", UploadAudioFileView.as_view(), name="upload"),
        # In the shape of Uppy's plugin "AwsS3": no slashes at the end.
        path("uploads/s3/multipart", direct_uploads.begin, name="begin-upload"),
        path("uploads/s3/multipart/<str:code>", direct_uploads.one, name="upload-parts"),
        path("uploads/s3/multipart/<str:code>/complete", direct_uploads.complete, name="complete"),
        path("uploads/s3/multipart/<str:code>/<str:number>", direct_uploads.sign, name="sign-part"),
        path("uploads/s3/params", direct_uploads.params, name="upload-params"),
        path("uploads/s3/arrived", direct_uploads.arrived, name="upload-arrived"),
        path("uploads/open/", direct_uploads.open_uploads, name="open-uploads"),
        path("uploads/parts/<str:token>/", direct_uploads.put_part, name="put-part"),
        path("uploads/forms/<str:token>/", direct_uploads.post_form, name="post-form"),
        path("several/download/", several.download, name="several-download"),
        path("several/delete/", several.delete, name="several-delete"),
        path("several/order/", several.order, name="several-order"),
        path("several/retry/", several.retry, name="several-retry"),
        path("several/cancel/", several.cancel, name="several-cancel"),
        path("shares/", sharing.shares, name="shares"),
        path("shares/<uuid:code>/end/", sharing.end_share, name="end-share"),
        path("<uuid:code>/", one_file.detail, name="detail"),
        path("<uuid:code>/state/", one_file.file_state, name="state"),
        path("<uuid:code>/row/", library.library_row, name="row"),
        path("<uuid:code>/order/", one_file.order, name="order"),
        path("<uuid:code>/retry/", one_file.retry, name="retry"),
        path("<uuid:code>/cancel/", one_file.cancel, name="cancel"),
        path("<uuid:code>/delete/", one_file.delete, name="delete"),
        path("<uuid:code>/label/apply/", one_file.apply_label, name="apply-label"),
        path("<uuid:code>/tags/", labels.edit_tags, name="edit-tags"),
        path("<uuid:code>/cover/", labels.edit_cover, name="edit-cover"),
        path("<uuid:code>/cover/<str:size>/", labels.cover, name="cover"),
        path("<uuid:code>/share/", sharing.share, name="share"),
        path("<uuid:code>/download/<str:rendition>/", media.download, name="download"),
        path("<uuid:code>/listen/<str:rendition>/", media.listen, name="listen"),
    ],
    "audio",
)

handler500 = "audio_transcoder.middleware.server_error"

urlpatterns = [
    path("", library.landing, name="landing"),
    path("audio/", include(audio)),
    # Whoever has the link.
    path("s/<str:token>/", sharing.shared, name="shared"),
    path("s/<str:token>/cover/<str:size>/", sharing.shared_cover, name="shared-cover"),
    path("s/<str:token>/listen/<str:rendition>/", sharing.shared_listen, name="shared-listen"),
    path(
        "s/<str:token>/download/<str:rendition>/", sharing.shared_download, name="shared-download"
    ),
    path("messages/", include("transcode_messages.urls")),
    path("accounts/", account.profile, name="account_profile"),
    path("accounts/sessions/", account.sessions, name="account_sessions"),
    path("accounts/delete/", account.delete, name="account_delete"),
    path("accounts/deleted/", account.deleted, name="account_deleted"),
    path("accounts/", include("allauth.urls")),
    path("language/", account.choose_language, name="set_language"),
    path("admin/dashboard/", admin.site.admin_view(dashboard.page), name="dashboard"),
    path("admin/", admin.site.urls),
    # Machines call these.
    path("robots.txt", robots.robots, name="robots"),
    path("transcode-complete/", transcode_complete, name="transcode-complete"),
    path("health/", health, name="health"),
    path("", include("elastic_transcoder.urls")),
]
