"""Where the API is mounted: at the root of the site, as clients expect it."""

from __future__ import annotations

from django.urls import re_path

from elastic_transcoder.api.views import api

# Everything below, whatever it is: the API's own 404 is no page. No "$", for a path may hold
# an encoded line break.
urlpatterns = [re_path(r"^2012-09-25(?:/|\Z)", api, name="elastic-transcoder-api")]
