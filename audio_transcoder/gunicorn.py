"""The web server: ``gunicorn -c python:audio_transcoder.gunicorn``.

Every name below that gunicorn has a setting of is that setting. A request holds one thread while
its body arrives, so there are many more threads than slow clients; what else keeps slow clients
from mattering is in ``audio_transcoder.web_worker``.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "audio_transcoder.settings")

from django.conf import settings

from steps.parent import die_with_parent

wsgi_app = "audio_transcoder.wsgi"
bind = [f"{settings.BIND_ADDRESS}:{settings.PORT}"]
backlog = 1024

worker_class = "audio_transcoder.web_worker.PatientWorker"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
# A process whose threads are nearly all taken leaves new connections to the others.
worker_connections = threads + 64
keepalive = 5  # seconds
graceful_timeout = 6  # seconds; the parent's SIGKILL comes after 10

# Bytes and headers of a request, before any of ours is read. Signed API calls stay far below.
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# Its default place is the home of whoever runs it; nobody here talks to it.
control_socket_disable = True

(settings.DATA_DIR / "log").mkdir(parents=True, exist_ok=True)  # gunicorn opens it at once
logger_class = "audio_transcoder.web_worker.AccessLogger"
accesslog = str(settings.DATA_DIR / "log" / "access.log")
access_log_format = (
    '%(h)s %(t)s "%(m)s %(path)s %(H)s" %(s)s %(B)s %(L)s '
    '"%(key)s" %(operation)s %(request_id)s %(signed)s'
)
errorlog = "-"
loglevel = "warning"


def post_fork(server: Any, _worker: Any) -> None:
    die_with_parent(server.pid)
