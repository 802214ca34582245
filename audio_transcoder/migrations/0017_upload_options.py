from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_transcoder", "0016_first_downloads_and_loudness"),
    ]

    operations = [
        migrations.AddField(
            model_name="upload",
            name="options",
            field=models.JSONField(default=dict),
        ),
    ]
