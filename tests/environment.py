"""Where the tests live: a folder of their own, set before Django reads its settings."""

import os
import tempfile

DATA_DIR = tempfile.mkdtemp(prefix="audio-transcoder-tests-")

for name in [name for name in os.environ if name.startswith(("AWS_", "TRANSCODER_", "SNS_"))]:
    del os.environ[name]
for name in (
    "DATABASE_URL",
    "CELERY_BROKER_URL",
    "SITE_URL",
    "STATIC_ON_S3",
    "SECRET_KEY",
    "BUCKETS_DIR",
):
    os.environ.pop(name, None)
os.environ["DATA_DIR"] = DATA_DIR
os.environ["DEBUG"] = "false"
os.environ["ENV_FILE"] = ""  # a developer's own .env does not reach the tests
# Playwright's own event loop runs in the tests' thread; the ORM calls there are plain ones.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
