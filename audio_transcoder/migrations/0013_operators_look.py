"""What the operators' dashboard asks is read from indexes; so is the pace of an engine."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_transcoder", "0012_fill_kept_state"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="rendition",
            index=models.Index(fields=["audio_file", "size_bytes"], name="rendition_size"),
        ),
        migrations.AddIndex(
            model_name="transcodejob",
            index=models.Index(fields=["status", "finished_at"], name="transcode_job_ended"),
        ),
    ]
