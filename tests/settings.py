"""The site's settings, as the tests' own environment has them."""

import tests.environment  # noqa: F401 - first: it decides what the settings find
from audio_transcoder.settings import *  # noqa: F403 - the very same settings
