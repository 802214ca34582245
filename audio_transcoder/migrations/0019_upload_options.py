from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_transcoder", "0015_labels_and_facts"),
    ]

    operations = [
        migrations.AddField(
            model_name="upload",
            name="options",
            field=models.JSONField(default=dict),
        ),
    ]
