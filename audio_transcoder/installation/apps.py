from django.apps import AppConfig


class InstallationConfig(AppConfig):
    name = "audio_transcoder.installation"

    def ready(self) -> None:
        from audio_transcoder import checks  # noqa: F401 - they register themselves
        from audio_transcoder.installation import model_names

        model_names.translate()
