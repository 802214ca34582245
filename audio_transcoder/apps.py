from django.apps import AppConfig


class AudioTranscoderConfig(AppConfig):
    name = "audio_transcoder"
    verbose_name = "Audio Transcoder"

    def ready(self) -> None:
        from audio_transcoder import steps  # noqa: F401 - they register themselves
        from audio_transcoder.open_work import has_open_jobs
        from transcode_messages import live

        live.ask(has_open_jobs)
