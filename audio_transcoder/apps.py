from django.apps import AppConfig


class AudioTranscoderConfig(AppConfig):
    name = "audio_transcoder"
    verbose_name = "Audio Transcoder"

    def ready(self) -> None:
        from audio_transcoder import covers, steps
        from audio_transcoder.open_work import has_open_jobs
        from transcode_messages import bell, live, pictures

        live.ask(has_open_jobs)
        pictures.find_by(covers.key_of_a_message, covers.beside_a_message)
        bell.wakes(steps.wake_mail)
