"""Settings of the site, all of them from the environment.

A name is looked up in the process environment, then in ``.env`` (or the file that ``ENV_FILE``
names), then in ``DATA_DIR/env``, where the generated secrets stand. ``.env.example`` lists every
variable; a test compares.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import environ

from audio_transcoder import secret_file, variables

BASE_DIR = Path(__file__).resolve().parent.parent

env = variables.Variables()

# --- Where things are -------------------------------------------------------------------------

_env_file = env("ENV_FILE", default=str(BASE_DIR / ".env"))
if _env_file:
    environ.Env.read_env(_env_file)

# Only the transcoder: its API, workers and the operators' pages. The web app is not installed.
TRANSCODER_ALONE = env.bool("TRANSCODER_ALONE", default=False)

# Everything local lives here: database, folder buckets, secrets, keys, temporary files. Both forms
# may run from one folder of code, each with its own.
_data_dir = BASE_DIR / "var" / "transcoder" if TRANSCODER_ALONE else BASE_DIR / "var"
DATA_DIR = Path(env("DATA_DIR", default=str(_data_dir))).resolve()
if not all(env(name, default="") for name in secret_file.NEEDED):
    environ.Env.read_env(secret_file.ensure(DATA_DIR / "env"))

SECRET_KEY = env("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
# Password of the first superuser, `admin`; made with the other secrets. Empty: none is created.
ADMIN_PASSWORD = env("ADMIN_PASSWORD", default="")

# --- Address of the site ----------------------------------------------------------------------

PORT = env.int("PORT", default=8000)
# The address of this machine that `make run` listens on. 0.0.0.0: all of them.
BIND_ADDRESS = env("BIND_ADDRESS", default="127.0.0.1")
# Processes that answer requests, and threads in each: a slow upload holds one thread.
WEB_PROCESSES = env.int("WEB_PROCESSES", default=2)
WEB_THREADS = env.int("WEB_THREADS", default=128)
# Seconds that a client may send or take nothing before it is cut off.
CLIENT_IDLE_S = env.float("CLIENT_IDLE_S", default=60.0)
# Seconds in which the whole body of a request has to arrive, unless it is an upload.
CLIENT_BODY_S = env.float("CLIENT_BODY_S", default=20.0)
# How people reach the site. https:// here switches on https-only cookies, redirects and HSTS.
SITE_URL = env("SITE_URL", default=f"http://localhost:{PORT}").rstrip("/")
# How the site reaches itself, past any proxy: its own API and its own webhook.
LOCAL_URL = env("LOCAL_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")

ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", default=[]),
    urlsplit(SITE_URL).hostname or "localhost",
    "localhost",
    "127.0.0.1",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

_https = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = _https
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if _https else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
if TRANSCODER_ALONE:
    # Browsers send the cookies of a host to each of its ports, so to a web app beside this one too.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "transcoder_sessionid", "transcoder_csrftoken"
# Behind a proxy that ends TLS, the header it sets, e.g. HTTP_X_FORWARDED_PROTO. Empty: none.
_proxy_header = env("TRUSTED_PROXY_SSL_HEADER", default="")
SECURE_PROXY_SSL_HEADER = (_proxy_header, "https") if _proxy_header else None
# How many proxies of ours a request passes; each adds to X-Forwarded-For whom it serves. 0: none,
# whoever connects is the visitor.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
# Machines call these; SNS and old SDKs follow no redirects.
SECURE_REDIRECT_EXEMPT = [r"^2012-09-25/", r"^transcode-complete/$", r"^health/$"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Parts ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "audio_transcoder.installation.apps.InstallationConfig",
    "elastic_transcoder.apps.ElasticTranscoderConfig",
    "steps.apps.StepsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "csp",
]
if not TRANSCODER_ALONE:
    INSTALLED_APPS = [
        "audio_transcoder.apps.AudioTranscoderConfig",
        "transcode_messages.apps.TranscodeMessagesConfig",
        *INSTALLED_APPS,
        "allauth",
        "allauth.account",
        "allauth.mfa",
        "allauth.usersessions",
        "django_htmx",
    ]

MIDDLEWARE = [
    "audio_transcoder.middleware.VisitorAddressMiddleware",
    "audio_transcoder.middleware.UnavailableMiddleware",
    "audio_transcoder.middleware.UnfinishedUploadsMiddleware",
    "audio_transcoder.middleware.RetryAfterMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "audio_transcoder.middleware.MachinePathsMiddleware",
    "audio_transcoder.middleware.PrivateAnswersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "audio_transcoder.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "audio_transcoder.middleware.RefusedVerbsMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if not TRANSCODER_ALONE:
    MIDDLEWARE += [
        "allauth.account.middleware.AccountMiddleware",
        "django_htmx.middleware.HtmxMiddleware",
        "audio_transcoder.middleware.PollsMiddleware",
    ]

ROOT_URLCONF = "audio_transcoder.installation.urls" if TRANSCODER_ALONE else "audio_transcoder.urls"
WSGI_APPLICATION = "audio_transcoder.wsgi.application"

_context_processors = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "django.template.context_processors.i18n",
]
if not TRANSCODER_ALONE:
    _context_processors.append("transcode_messages.context_processors.message_context_processor")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": _context_processors},
    },
]
FORM_RENDERER = "audio_transcoder.installation.widgets.Renderer"

# --- Database ---------------------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR}/db.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Seconds to wait for SQLite's write lock: in a page (then 503), and in a worker, which has time.
WEB_BUSY_TIMEOUT = env.float("WEB_BUSY_TIMEOUT", default=4.0)
WORKER_BUSY_TIMEOUT = env.float("WORKER_BUSY_TIMEOUT", default=20.0)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock at once: upgrading a read later cannot wait.
        "transaction_mode": "IMMEDIATE",
        "timeout": WEB_BUSY_TIMEOUT,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # Seconds. Whoever closes SQLite's last connection copies the write-ahead log into the database
    # and waits for the disk; on a quiet site that is every request and every claim.
    DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
    # A file, not memory: the tests' workers are processes of their own.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}

# Shared by all processes: sign-in limits must count everywhere. Beyond MAX_ENTRIES rows that still
# count are thrown away; Django's 300 are the guesses of a handful of addresses.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# --- People -----------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
if not TRANSCODER_ALONE:
    AUTHENTICATION_BACKENDS.append("allauth.account.auth_backends.AuthenticationBackend")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCOUNT_EMAIL_VERIFICATION = env.one_of(
    "ACCOUNT_EMAIL_VERIFICATION", ("none", "optional", "mandatory"), default="optional"
)
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = [
    "username*",
    "email*" if ACCOUNT_EMAIL_VERIFICATION == "mandatory" else "email",
    "password1*",
    "password2*",
]
ACCOUNT_LOGOUT_ON_GET = False
# How many accounts one address may make, in allauth's words: count/period/per.
ACCOUNT_RATE_LIMITS = {"signup": env("ACCOUNT_SIGNUP_RATE_LIMIT", default="20/m/ip")}
ACCOUNT_ADAPTER = "audio_transcoder.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "audio_transcoder.accounts.forms.SignInForm"}
MFA_ADAPTER = "audio_transcoder.accounts.adapters.SecondFactorAdapter"
# What an authenticator app calls the account's place.
MFA_TOTP_ISSUER = "Audio Transcoder"
# Periods of 30 seconds before and after: who types slowly, or has a clock that is a little wrong,
# gets in too. Source: RFC 6238, 5.2.
MFA_TOTP_TOLERANCE = 1
LOGIN_REDIRECT_URL = "admin:index" if TRANSCODER_ALONE else "audio:list"
LOGIN_URL = "admin:login" if TRANSCODER_ALONE else "account_login"

# Unset: mail is printed to the console.
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
# Seconds that a mail server may be silent.
EMAIL_TIMEOUT = env.float("EMAIL_TIMEOUT", default=10.0)
DEFAULT_FROM_EMAIL = env(
    "DEFAULT_FROM_EMAIL", default=f"audio@{urlsplit(SITE_URL).hostname or 'localhost'}"
)

LANGUAGE_CODE = "en"
# Each by its own name, as the footer shows it. A browser's wish counts until somebody chooses.
LANGUAGES = [("en", "English"), ("pl", "Polski"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # seconds
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SECURE = _https
TIME_ZONE = env("TIME_ZONE", default="UTC")
USE_TZ = True

# --- Storage ----------------------------------------------------------------------------------

AWS_REGION = env("AWS_REGION", default="eu-west-1")
# Unset: a bucket is a folder below BUCKETS_DIR, the web app's is called "local".
AWS_STORAGE_BUCKET_NAME = env("AWS_STORAGE_BUCKET_NAME", default="")
AWS_S3_REGION_NAME = env("AWS_S3_REGION_NAME", default=AWS_REGION)
# Another S3 server than Amazon's. Unset: Amazon's, in the region above.
AWS_S3_ENDPOINT_URL = env("AWS_S3_ENDPOINT_URL", default="") or None
AWS_S3_ADDRESSING_STYLE = env("AWS_S3_ADDRESSING_STYLE", default="virtual")
# Seconds that a signed link to an object lives.
AWS_QUERYSTRING_EXPIRE = env.int("AWS_QUERYSTRING_EXPIRE", default=3600)
# Host name that serves the bucket's static files, e.g. a CloudFront distribution.
AWS_S3_CUSTOM_DOMAIN = env("AWS_S3_CUSTOM_DOMAIN", default="") or None
# Host name of a CloudFront distribution that serves people's files, by signed links alone. May be
# the one above. Unset: links lead to the bucket itself.
CLOUDFRONT_DOMAIN = env("CLOUDFRONT_DOMAIN", default="")
# The public key's id at CloudFront, and the private key (PEM; \n may stand for a line break), or
# the file that holds it.
CLOUDFRONT_KEY_ID = env("CLOUDFRONT_KEY_ID", default="")
_cloudfront_key_file = Path(env("CLOUDFRONT_KEY_FILE", default="")) if CLOUDFRONT_DOMAIN else Path()
CLOUDFRONT_KEY = env("CLOUDFRONT_KEY", default="").replace("\\n", "\n")
if not CLOUDFRONT_KEY and _cloudfront_key_file.is_file():
    CLOUDFRONT_KEY = _cloudfront_key_file.read_text()
# Files on another storage than S3's: the class of a storage of Django's, its arguments (JSON, where
# "{bucket}" stands for a bucket's name), the web app's bucket there, and from where players get
# what its links lead to.
MEDIA_STORAGE_BACKEND = env("MEDIA_STORAGE_BACKEND", default="")
MEDIA_STORAGE_OPTIONS = env.json("MEDIA_STORAGE_OPTIONS", default={})
MEDIA_STORAGE_BUCKET = env("MEDIA_STORAGE_BUCKET", default="audio")
MEDIA_STORAGE_ORIGINS = env.list("MEDIA_STORAGE_ORIGINS", default=[])
# Where folder buckets are. A web app and a transcoder of their own may share it.
BUCKETS_DIR = Path(env("BUCKETS_DIR", default=str(DATA_DIR / "buckets"))).resolve()
MEDIA_BUCKET = AWS_STORAGE_BUCKET_NAME or (
    MEDIA_STORAGE_BUCKET if MEDIA_STORAGE_BACKEND else "local"
)
# Below which path the nginx in front of the site has BUCKETS_DIR, e.g. /buckets/; it then sends
# the bytes of files in folders, after this site has said who may have them. Unset: this site does.
ACCEL_REDIRECT_PREFIX = env("ACCEL_REDIRECT_PREFIX", default="")

# What a GiB in the store costs in a month, for the estimates in the admin: S3 Standard in many
# regions, storage alone.
STORAGE_PRICE_PER_GIB = env.float("STORAGE_PRICE_PER_GIB", default=0.023)
STORAGE_CURRENCY = env("STORAGE_CURRENCY", default="USD")

STATICFILES_LOCATION = env("STATICFILES_LOCATION", default="static")
MEDIAFILES_LOCATION = env("MEDIAFILES_LOCATION", default="media")
STATIC_ON_S3 = env.bool("STATIC_ON_S3", default=False)
STATIC_URL = f"/{STATICFILES_LOCATION}/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Packages of npm, served from their dist folders. The site runs without them: uploads are then sent
# by the plain form, and the waveform is a picture.
_uppy_dist = BASE_DIR / "node_modules" / "uppy" / "dist"
UPPY = "vendor/uppy/uppy.min.js"
HAS_UPPY = (_uppy_dist / "uppy.min.js").is_file() or (STATIC_ROOT / UPPY).is_file()
if _uppy_dist.is_dir():
    STATICFILES_DIRS.append(("vendor/uppy", _uppy_dist))
_wavesurfer_dist = BASE_DIR / "node_modules" / "wavesurfer.js" / "dist"
WAVESURFER = "vendor/wavesurfer/wavesurfer.min.js"
WAVESURFER_REGIONS = "vendor/wavesurfer/plugins/regions.min.js"
HAS_WAVESURFER = (_wavesurfer_dist / "wavesurfer.min.js").is_file() or (
    STATIC_ROOT / WAVESURFER
).is_file()
if _wavesurfer_dist.is_dir():
    STATICFILES_DIRS.append(("vendor/wavesurfer", _wavesurfer_dist))
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# Before collectstatic has run, WhiteNoise serves static files from where they are written.
WHITENOISE_USE_FINDERS = not (STATIC_ROOT / "staticfiles.json").exists()
STORAGES = {
    "default": {"BACKEND": "audio_transcoder.storages.MediaStorage"},
    "staticfiles": {"BACKEND": "audio_transcoder.storages.StaticStorage"},
}

# --- Uploads ----------------------------------------------------------------------------------

# Bytes; the longest upload.
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=2 * 1024**3)
# Bytes and files a person may keep, files a person may upload in 24 hours. 0: no limit.
# QUOTA_BYTES counts uploads, whose size is known before; QUOTA_RESULT_BYTES what was made of them:
# once that is reached nothing more is begun, and what is under way is finished.
QUOTA_BYTES = env.int("QUOTA_BYTES", default=0)
QUOTA_RESULT_BYTES = env.int("QUOTA_RESULT_BYTES", default=0)
QUOTA_FILES = env.int("QUOTA_FILES", default=0)
QUOTA_FILES_PER_DAY = env.int("QUOTA_FILES_PER_DAY", default=0)
# Uploads that one person may begin within a minute before they are asked to wait. 0: no limit.
UPLOADS_PER_MINUTE = env.int("UPLOADS_PER_MINUTE", default=120)
# Requests that one address may make of one shared link within a minute, of each web process; a
# player makes some for each jump. 0: no limit.
SHARE_REQUESTS_PER_MINUTE = env.int("SHARE_REQUESTS_PER_MINUTE", default=600)
# Times that the open pages of one session may ask for news within a minute, of each web process; a
# list of 20 files that are all being converted asks 600 times. 0: no limit.
POLLS_PER_MINUTE = env.int("POLLS_PER_MINUTE", default=3000)
# Seconds; the longest sound we convert (also the transcoder's own limit).
MAX_DURATION_S = env.int("MAX_DURATION_S", default=24 * 3600)
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "tmp"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
# No form but the upload page's takes a file; that view says so itself.
FILE_UPLOAD_HANDLERS = ["audio_transcoder.middleware.NoUploadHandler"]
# Bytes of a request that is no file: API calls and notices stay below 1 MiB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024**2

# --- The transcoder as the web app sees it ----------------------------------------------------

TRANSCODER_ENGINE = env("TRANSCODER_ENGINE", default="elastic")
# Base URL of the Elastic Transcoder API. Unset: our own, on this site.
TRANSCODER_ENDPOINT_URL = env("TRANSCODER_ENDPOINT_URL", default="") or LOCAL_URL
if TRANSCODER_ALONE:
    TRANSCODER_ENDPOINT_URL = LOCAL_URL  # an .env may be the web app's too
TRANSCODER_PIPELINE_NAME = env("TRANSCODER_PIPELINE_NAME", default="Audio Files")
TRANSCODER_ACCESS_KEY_ID = env("TRANSCODER_ACCESS_KEY_ID")
TRANSCODER_SECRET_ACCESS_KEY = env("TRANSCODER_SECRET_ACCESS_KEY")
TRANSCODER_TIMEOUT = env.float("TRANSCODER_TIMEOUT", default=10.0)  # seconds for one call
# Jobs that may be placed with an engine and not yet be done; the rest waits in the web app, where
# persons take turns.
TRANSCODER_MAX_PLACED = env.int("TRANSCODER_MAX_PLACED", default=20)
# With TRANSCODER_ENGINE=mediaconvert: the role that MediaConvert reads and writes the bucket with,
# the queue that the jobs go to, and what this installation is called: of two that share a queue
# each hears of its own jobs only.
MEDIACONVERT_ROLE_ARN = env("MEDIACONVERT_ROLE_ARN", default="")
MEDIACONVERT_QUEUE_ARN = env("MEDIACONVERT_QUEUE_ARN", default="")
MEDIACONVERT_ENV = env("MEDIACONVERT_ENV", default="") or urlsplit(SITE_URL).hostname or "localhost"

# --- Notices ----------------------------------------------------------------------------------

_own_topic = f"arn:aws:sns:{AWS_REGION}:000000000000:transcode-complete"
# The topics that the webhook accepts, exact.
SNS_TOPIC_ARN = env.list("SNS_TOPIC_ARN", default=[_own_topic])
if TRANSCODER_ALONE:
    SNS_TOPIC_ARN = []  # there is no webhook
SNS_SIGNATURE_VERSIONS = env.list("SNS_SIGNATURE_VERSIONS", default=["1", "2"])
# Our own topics: ARN -> the URLs that hear of it. Any other ARN belongs to Amazon SNS.
_own_topics = {} if TRANSCODER_ALONE else {_own_topic: [f"{LOCAL_URL}/transcode-complete/"]}
TRANSCODER_TOPICS = env.json("TRANSCODER_TOPICS", default=_own_topics)
SNS_KEY_FILE = DATA_DIR / "sns.key.pem"
SNS_CERTIFICATE_FILE = DATA_DIR / "sns.cert.pem"

# --- The transcoder itself --------------------------------------------------------------------

# How much there may be at once: pipelines, custom presets, waiting jobs of one pipeline; more is
# answered with 429. Amazon's numbers were 4, 50 and 1000000. 0: no limit.
TRANSCODER_MAX_PIPELINES = env.int("TRANSCODER_MAX_PIPELINES", default=0)
TRANSCODER_MAX_PRESETS = env.int("TRANSCODER_MAX_PRESETS", default=0)
TRANSCODER_MAX_QUEUED_JOBS = env.int("TRANSCODER_MAX_QUEUED_JOBS", default=1_000_000)
TRANSCODER_ACCOUNT_ID = env("TRANSCODER_ACCOUNT_ID", default="000000000000")
# How often each access key may call: operation, or "*" for each of the others -> calls in a
# second, calls at once. Unset: as often as it likes.
TRANSCODER_RATE_LIMITS = env.json("TRANSCODER_RATE_LIMITS", default={})

# --- Workers ----------------------------------------------------------------------------------

# Processes that only transcode. 0: one for each core.
TRANSCODER_WORKERS = env.int("TRANSCODER_WORKERS", default=0) or os.cpu_count() or 1
# Unset: the FFmpeg that the package imageio-ffmpeg brings.
FFMPEG_BINARY = env("FFMPEG_BINARY", default="")
WORK_DIR = DATA_DIR / "work"
# Seconds: how long a claim lasts unrenewed, how often it is renewed, and how long a job may
# stand still before its FFmpeg is killed.
TRANSCODER_LEASE_S = env.float("TRANSCODER_LEASE_S", default=60.0)
TRANSCODER_RENEW_S = env.float("TRANSCODER_RENEW_S", default=15.0)
TRANSCODER_STALL_S = env.float("TRANSCODER_STALL_S", default=30.0)
# Seconds after which what was deleted is looked at once more, when everything was found gone: a
# worker that had lost its claim may still have stored something.
DELETION_GRACE_S = env.float("DELETION_GRACE_S", default=30.0)
# Bytes: memory of one FFmpeg, and the largest result of one output.
FFMPEG_MEMORY_BYTES = env.int("FFMPEG_MEMORY_BYTES", default=2 * 1024**3)
OUTPUT_MAX_BYTES = env.int("OUTPUT_MAX_BYTES", default=16 * 1024**3)
# Seconds between two looks for whatever a lost nudge left behind, and before a notice that was
# not accepted is posted again for the first time.
RECONCILE_S = env.float("RECONCILE_S", default=60.0)
NOTICE_RETRY_S = env.float("NOTICE_RETRY_S", default=2.0)
# Where nudges travel between the processes of one machine.
NUDGE_DIR = DATA_DIR / "nudges"

# --- What the browser may load ----------------------------------------------------------------

# Static files may have a host of their own.
_static_hosts = [f"https://{AWS_S3_CUSTOM_DOMAIN}"] if STATIC_ON_S3 and AWS_S3_CUSTOM_DOMAIN else []
# The bucket, by host name or by path, as boto3 chooses: uploads go straight into it.
_bucket_hosts = []
if AWS_STORAGE_BUCKET_NAME:
    _s3 = urlsplit(AWS_S3_ENDPOINT_URL or f"https://s3.{AWS_S3_REGION_NAME}.amazonaws.com")
    _bucket_hosts = [
        f"{_s3.scheme}://{_s3.netloc}",
        f"{_s3.scheme}://{AWS_STORAGE_BUCKET_NAME}.{_s3.netloc}",
    ]
# Sound is played from a redirect: to CloudFront, to the bucket or to another storage.
_media_hosts = MEDIA_STORAGE_ORIGINS if MEDIA_STORAGE_BACKEND else _bucket_hosts
if CLOUDFRONT_DOMAIN:
    _media_hosts = [f"https://{CLOUDFRONT_DOMAIN}"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'", *_static_hosts],
        "style-src": ["'self'", *_static_hosts],  # the page of a file adds a nonce
        "img-src": ["'self'", "data:", *_static_hosts],
        "media-src": ["'self'", *_media_hosts],
        "connect-src": ["'self'", *_bucket_hosts],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Log --------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "propagate": False},
        "azure": {"level": "WARNING"},  # it would tell of every request
    },
}
SILENCED_SYSTEM_CHECKS: list[str] = []
