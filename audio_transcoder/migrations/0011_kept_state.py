from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_transcoder", "0010_facts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="audiofile",
            name="kept_state",
            field=models.CharField(
                choices=[
                    ("waiting", "waiting"),
                    ("converting", "converting"),
                    ("ready", "ready"),
                    ("failed", "failed"),
                    ("canceled", "canceled"),
                ],
                default="waiting",
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="audiofile",
            index=models.Index(
                fields=["owner", "kept_state", "-created_at", "-id"], name="audio_file_by_state"
            ),
        ),
    ]
