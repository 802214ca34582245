from django.apps import AppConfig


class TranscodeMessagesConfig(AppConfig):
    name = "transcode_messages"
    verbose_name = "Messages"
