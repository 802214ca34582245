import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("audio_transcoder", "0009_etag"),
    ]

    operations = [
        migrations.CreateModel(
            name="Waveform",
            fields=[
                (
                    "audio_file",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="waveform",
                        serialize=False,
                        to="audio_transcoder.audiofile",
                    ),
                ),
                ("peaks", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name="audiofile",
            name="album",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="artist",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="bitrate_kbps",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="bits",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="cover",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="cover_height",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="cover_width",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="loudness_lufs",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="title",
            field=models.CharField(blank=True, max_length=255),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="track",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="true_peak_dbtp",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="audiofile",
            name="year",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name="rendition",
            name="bitrate_kbps",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="bits",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="channels",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="codec",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name="rendition",
            name="correlation",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="downloaded_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="has_cover",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="is_faithful",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="lost_tags",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="rendition",
            name="ready_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="sample_hash",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="rendition",
            name="sample_rate_hz",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="variant",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="rendition",
            name="wanted_bitrate_kbps",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="transcodejob",
            name="clip_end_ms",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="transcodejob",
            name="clip_start_ms",
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="transcodejob",
            name="started_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="transcodejob",
            name="target_lufs",
            field=models.SmallIntegerField(blank=True, null=True),
        ),
    ]
