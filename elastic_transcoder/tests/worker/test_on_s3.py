"""How a worker keeps its results on S3: as the pipeline and the output ask."""

import pytest

from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import MP3
from elastic_transcoder.tests.worker.test_segments import HLS_160K, playlist
from elastic_transcoder.tests.worker.test_worker import details
from tests.faulty_proxy import refuse

pytest_plugins = ["buckets.tests.s3_server"]

# Ceph has one storage class and no keys of its own.
only_on_moto = pytest.mark.parametrize("s3", ["moto"], indirect=True)

EVERYBODY = {"GranteeType": "Group", "Grantee": "AllUsers", "Access": ["Read"]}


@pytest.fixture
def client(s3, pipeline):
    """Of both buckets of the pipeline, which are on the S3 server."""
    for name in ("in", "out"):
        setattr(pipeline, f"{name}put_bucket", s3.make_bucket(f"{name}-{s3.bucket}"))
    pipeline.save()
    return s3.client()


@pytest.fixture
def order(client, pipeline, submit, tone):
    """Return a function that orders results of a second of sound from S3."""

    def make(*presets: str, config: dict | None = None, **fields: object) -> Job:
        source = tone("a.mp3", "-ac", "2").read_bytes()
        client.put_object(Bucket=pipeline.input_bucket, Key="song", Body=source)
        if config is not None:
            pipeline.content_config = {"Bucket": pipeline.output_bucket, **config}
            pipeline.thumbnail_config = {"Bucket": pipeline.output_bucket}
            pipeline.output_bucket = ""
            pipeline.save()
        return submit(None, *presets, key="song", **fields)

    return make


@only_on_moto
def test_results_have_the_storage_class_of_the_pipeline(order, client, pipeline, transcode):
    job = transcode(order(MP3, config={"StorageClass": "ReducedRedundancy"}))
    assert job.status == "Complete", details(job)
    place = {"Bucket": pipeline.result_bucket, "Key": job.outputs.get().final_key}
    head = client.head_object(**place)
    assert (head["StorageClass"], head["ContentType"]) == ("REDUCED_REDUNDANCY", "audio/mpeg")


def test_results_may_be_read_by_whom_the_pipeline_says(order, client, pipeline, transcode):
    job = transcode(order(MP3, config={"Permissions": [EVERYBODY]}))
    assert job.status == "Complete", details(job)
    place = {"Bucket": pipeline.result_bucket, "Key": job.outputs.get().final_key}
    (grant,) = client.get_object_acl(**place)["Grants"]
    assert (grant["Permission"], grant["Grantee"]["URI"]) == (
        "READ",
        "http://acs.amazonaws.com/groups/global/AllUsers",
    )


@only_on_moto
@pytest.mark.parametrize(
    ("mode", "kept"), [("s3", "AES256"), ("s3-aws-kms", "aws:kms")], ids=["s3", "kms"]
)
def test_results_are_encrypted_as_the_output_says(order, client, pipeline, transcode, mode, kept):
    pipeline.aws_kms_key_arn = "arn:aws:kms:eu-west-1:000000000000:key/k"
    pipeline.save()
    job = order(MP3, MP3)
    job.outputs.filter(number=1).update(options={"Encryption": {"Mode": mode}})
    transcode(job)
    first, second = (
        client.head_object(Bucket=pipeline.result_bucket, Key=output.final_key)
        for output in job.outputs.all()
    )
    assert first["ServerSideEncryption"] == kept
    assert first.get("SSEKMSKeyId") == (pipeline.aws_kms_key_arn if mode != "s3" else None)
    assert second.get("ServerSideEncryption") != kept


@only_on_moto
def test_segments_and_playlists_are_kept_like_other_results(order, client, pipeline, transcode):
    config = {"StorageClass": "ReducedRedundancy"}
    job = order(HLS_160K, config=config, playlists=[playlist("HLSv3", "result-1")])
    job.outputs.update(options={"SegmentDuration": "10.0"})
    assert transcode(job).status == "Complete", details(job)
    found = client.list_objects_v2(Bucket=pipeline.result_bucket)["Contents"]
    assert {one["Key"].rpartition(".")[2] for one in found} == {"ts", "m3u8"}
    assert {one["StorageClass"] for one in found} == {"REDUCED_REDUNDANCY"}
    types = {
        client.head_object(Bucket=pipeline.result_bucket, Key=one["Key"])["ContentType"]
        for one in found
    }
    assert types == {"video/mp2t", "application/x-mpegURL"}


def test_a_bucket_that_takes_no_access_lists_is_3004(order, s3, transcode):
    job = order(MP3, config={"Permissions": [EVERYBODY]})
    s3.proxy.meet(refuse("400 Bad Request", "AccessControlListNotSupported"), "PUT")
    assert details(transcode(job))[0][:2] == ("Error", 3004)
