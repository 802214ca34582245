import pytest

from buckets import PLAIN, Kept
from elastic_transcoder.api.service import pattern, service
from elastic_transcoder.worker import keeping
from elastic_transcoder.worker.keeping import kept

KEY = "arn:aws:kms:eu-west-1:000000000000:key/1"
PERMISSIONS = [
    {"GranteeType": "Canonical", "Grantee": "1234abcd", "Access": ["Read", "WriteAcp"]},
    {"GranteeType": "Email", "Grantee": "a@example.org", "Access": ["FullControl"]},
    {"GranteeType": "Group", "Grantee": "AllUsers", "Access": ["ReadAcp"]},
    {"GranteeType": "Group", "Grantee": "AuthenticatedUsers", "Access": ["Read"]},
    {"GranteeType": "Group", "Grantee": "LogDelivery", "Access": ["Read"]},
    {"GranteeType": "Canonical", "Grantee": "nothing", "Access": []},
]


@pytest.mark.parametrize("config", [None, {"Bucket": "out", "Permissions": []}])
@pytest.mark.parametrize("encryption", [None, {}])
def test_a_pipeline_that_asks_for_nothing_leaves_it_to_the_bucket(config, encryption):
    assert kept(config, encryption, KEY) == PLAIN


def test_each_permission_is_a_grant_in_the_words_of_s3():
    group = 'uri="http://acs.amazonaws.com/groups/{}"'
    assert kept({"Bucket": "out", "Permissions": PERMISSIONS}, None, "").grants == (
        ("GrantRead", 'id="1234abcd"'),
        ("GrantWriteACP", 'id="1234abcd"'),
        ("GrantFullControl", 'emailAddress="a@example.org"'),
        ("GrantReadACP", group.format("global/AllUsers")),
        ("GrantRead", group.format("global/AuthenticatedUsers")),
        ("GrantRead", group.format("s3/LogDelivery")),
    )


@pytest.mark.parametrize(
    ("storage_class", "of_s3"),
    [("Standard", "STANDARD"), ("ReducedRedundancy", "REDUCED_REDUNDANCY"), (None, "")],
)
def test_the_storage_class_is_spelled_as_s3_does(storage_class, of_s3):
    config = {"Bucket": "out", "StorageClass": storage_class}
    assert kept(config, None, "") == Kept(storage_class=of_s3)


@pytest.mark.parametrize(
    ("mode", "key", "wanted"),
    [
        ("s3", KEY, Kept(encryption="AES256")),
        ("s3-aws-kms", "", Kept(encryption="aws:kms")),
        ("s3-aws-kms", KEY, Kept(encryption="aws:kms", kms_key_id=KEY)),
        (None, KEY, PLAIN),
    ],
)
def test_encryption_is_s3s_own_with_the_pipelines_key(mode, key, wanted):
    assert kept(None, {"Mode": mode}, key) == wanted


def test_modes_that_need_another_service_are_never_kept_plain():
    with pytest.raises(KeyError):
        kept(None, {"Mode": "aes-ctr"}, KEY)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("StorageClass", keeping.STORAGE_CLASSES),
        ("AccessControl", keeping.GRANTS),
        ("GranteeType", keeping.GRANTEES),
    ],
)
def test_every_word_of_the_service_model_is_known(shape, words):
    wanted = service().shape_for(shape).metadata["pattern"]
    assert all(pattern(wanted).fullmatch(word) for word in words)
    assert wanted.count("|") + 1 == len(words)
