"""The rows of the web app, by subject."""

from audio_transcoder.models.accounts import StorageAccount
from audio_transcoder.models.arrivals import IntakeObject, Upload
from audio_transcoder.models.deletions import DeletedFile, DeletedJob, Deletion
from audio_transcoder.models.files import AudioFile, TooManyResults, Waveform, source_name
from audio_transcoder.models.jobs import Rendition, TranscodeJob
from audio_transcoder.models.notices import ReceivedNotice
from audio_transcoder.models.shares import Share, TooManyShares

__all__ = [
    "AudioFile",
    "DeletedFile",
    "DeletedJob",
    "Deletion",
    "IntakeObject",
    "ReceivedNotice",
    "Rendition",
    "Share",
    "StorageAccount",
    "TooManyResults",
    "TooManyShares",
    "TranscodeJob",
    "Upload",
    "Waveform",
    "source_name",
]
