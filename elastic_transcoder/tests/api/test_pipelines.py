import pytest

from elastic_transcoder.models import Pipeline
from elastic_transcoder.pipelines import EVENTS
from elastic_transcoder.tests.api.conftest import PIPELINE, ROLE, order
from elastic_transcoder.tests.api.shapes import assert_answer

TOPIC = "arn:aws:sns:us-east-1:000000000000:transcodes"
CONFIGS = {
    "Name": "audio",
    "InputBucket": "uploads",
    "ContentConfig": {"Bucket": "renditions", "StorageClass": "Standard"},
    "ThumbnailConfig": {"Bucket": "thumbnails"},
    "Role": ROLE,
}


def granting(kind, grantee, access=("Read",)):
    """The members of a pipeline whose results somebody may reach."""
    permission = {"GranteeType": kind, "Grantee": grantee, "Access": list(access)}
    content = {"Bucket": "renditions", "Permissions": [permission]}
    return CONFIGS | {"ContentConfig": content, "OutputBucket": None}


def test_a_pipeline_is_created_with_one_output_bucket(call):
    response = call("POST", "/pipelines", PIPELINE | {"Notifications": {"Completed": TOPIC}})
    assert response.status_code == 201
    assert_answer("CreatePipeline", response.members)
    pipeline = response.members["Pipeline"]
    config = {"Bucket": "renditions", "StorageClass": None, "Permissions": []}
    assert pipeline == {
        "Id": pipeline["Id"],
        "Arn": f"arn:aws:elastictranscoder:eu-west-1:000000000000:pipeline/{pipeline['Id']}",
        "Name": "audio",
        "Status": "Active",
        "InputBucket": "uploads",
        "OutputBucket": "renditions",
        "Role": ROLE,
        "AwsKmsKeyArn": None,
        "Notifications": {"Progressing": "", "Completed": TOPIC, "Warning": "", "Error": ""},
        "ContentConfig": config,
        "ThumbnailConfig": config,
    }
    assert [warning["Code"] for warning in response.members["Warnings"]] == ["6005"]


def test_a_pipeline_is_created_with_configs_and_then_has_no_output_bucket(call):
    response = call("POST", "/pipelines", CONFIGS)
    assert response.status_code == 201
    assert_answer("CreatePipeline", response.members)
    pipeline = response.members["Pipeline"]
    assert "OutputBucket" not in pipeline
    assert pipeline["ContentConfig"]["StorageClass"] == "Standard"
    assert pipeline["ThumbnailConfig"]["Bucket"] == "thumbnails"
    assert Pipeline.objects.get(pk=pipeline["Id"]).result_bucket == "renditions"


def test_a_pipeline_that_was_created_is_read_and_listed(call, pipeline_id):
    read = call("GET", f"/pipelines/{pipeline_id}").members
    listed = call("GET", "/pipelines").members
    assert_answer("ReadPipeline", read)
    assert_answer("ListPipelines", listed)
    assert listed["Pipelines"][0] == read["Pipeline"]
    assert listed["NextPageToken"] is None


def test_an_unknown_pipeline_is_a_404_with_the_services_text(call):
    response = call("GET", "/pipelines/1600000000000-def456")
    assert (response.status_code, response.error) == (404, "ResourceNotFoundException")
    assert response.members["message"] == (
        "The specified pipeline was not found: account=000000000000,"
        " pipelineId=1600000000000-def456."
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"OutputBucket": None}, "[OutputBucket and ContentConfig:Bucket are not allowed to both"),
        (
            {"ContentConfig": {"Bucket": "b"}, "ThumbnailConfig": {"Bucket": "b"}},
            "[OutputBucket and ContentConfig are mutually exclusive.]",
        ),
        ({"ThumbnailConfig": {"Bucket": "b"}}, "[OutputBucket and ThumbnailConfig are mutually"),
        (
            {"OutputBucket": None, "ContentConfig": {"Bucket": "b"}},
            "[ThumbnailConfig:Bucket is not allowed to be null if ContentConfig is specified.]",
        ),
        (
            {"OutputBucket": None, "ContentConfig": {}, "ThumbnailConfig": {"Bucket": "b"}},
            "Value null at 'contentConfig.bucket' failed to satisfy constraint: Member must not be",
        ),
        (
            granting("Group", "Everybody"),
            "must be one of AllUsers, AuthenticatedUsers, LogDelivery",
        ),
        (granting("Group", "AllUsers", []), "permissions.1.member.access must name at least one"),
        (granting("Group", "AllUsers", ["Write"]), "permissions.1.member.access.1.member"),
        (granting("Robot", "AllUsers"), "'contentConfig.permissions.1.member.granteeType'"),
        (granting("Email", "me"), "contentConfig.permissions.1.member.grantee must be an e-mail"),
        (
            granting("Canonical", 'x", uri="y'),
            "permissions.1.member.grantee may hold visible ASCII",
        ),
        (granting("Canonical", ""), "at 'contentConfig.permissions.1.member.grantee' failed"),
        (granting("Canonical", None), "Value null at 'contentConfig.permissions.1.member.grantee'"),
        (granting("Canonical", "a" * 256), "length less than or equal to 255"),
        (
            CONFIGS | {"OutputBucket": None, "ThumbnailConfig": granting("Email", "a b@c")},
            "Value null at 'thumbnailConfig.bucket'",
        ),
        ({"Role": ""}, "Role cannot be blank"),
        ({"Role": "transcoder"}, "Role ARN is invalid: transcoder"),
        ({"Role": ROLE + "x" * 300}, "Role ARN is invalid: "),
        ({"Role": None}, "Value null at 'role' failed to satisfy constraint: Member must not be"),
        (
            {"Name": "x" * 41},
            "at 'name' failed to satisfy constraint: Member must have length less",
        ),
        ({"Name": ""}, "Member must have length greater than or equal to 1"),
        ({"InputBucket": "a/b"}, "Value 'a/b' at 'inputBucket' failed to satisfy constraint"),
        ({"InputBucket": "bücket"}, "at 'inputBucket' failed to satisfy constraint"),
        ({"InputBucket": "bucket\n"}, "at 'inputBucket' failed to satisfy constraint"),
        ({"AwsKmsKeyArn": "x" * 256}, "at 'awsKmsKeyArn' failed to satisfy constraint"),
        ({"Notifications": {"Error": "mailto:me"}}, "at 'notifications.error' failed to satisfy"),
        ({"Notifications": {"Error": TOPIC + "x" * 300}}, "The Error topic ARN is longer than 255"),
    ],
)
def test_a_pipeline_that_breaks_a_rule_is_refused_and_leaves_nothing(call, changed, message):
    before = Pipeline.objects.count()
    members = {name: value for name, value in (PIPELINE | changed).items() if value is not None}
    response = call("POST", "/pipelines", members)
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert message in response.members["message"]
    assert Pipeline.objects.count() == before


def test_one_missing_member_is_told_in_the_services_words(call):
    response = call("POST", "/pipelines", {**PIPELINE, "InputBucket": None})
    assert response.members["message"] == (
        "1 validation error detected: Value null at 'inputBucket' failed to satisfy constraint:"
        " Member must not be null"
    )


def test_all_violations_come_in_one_message(call):
    response = call("POST", "/pipelines", {"Name": "", "Role": ROLE})
    assert response.members["message"] == (
        "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must"
        " have length greater than or equal to 1; Value null at 'inputBucket' failed to satisfy"
        " constraint: Member must not be null"
    )


def test_an_empty_body_is_answered_by_validation(call):
    response = call("POST", "/pipelines", b"")
    assert response.error == "ValidationException"
    assert response.members["message"].startswith("3 validation errors detected: ")


def test_unknown_members_are_ignored(call):
    response = call("POST", "/pipelines", PIPELINE | {"Colour": {"deep": ["blue"]}, "Id": 7})
    assert response.status_code == 201


def test_an_update_changes_what_is_given_and_keeps_the_rest(call, pipeline_id):
    call("PUT", f"/pipelines/{pipeline_id}", {"Notifications": {"Error": TOPIC}})
    response = call(
        "PUT",
        f"/pipelines/{pipeline_id}",
        {"Name": "renamed", "Notifications": {"Warning": TOPIC}, "InputBucket": None},
    )
    assert response.status_code == 200
    assert_answer("UpdatePipeline", response.members)
    pipeline = response.members["Pipeline"]
    assert (pipeline["Name"], pipeline["InputBucket"]) == ("renamed", "uploads")
    assert pipeline["Notifications"]["Error"] == TOPIC
    assert pipeline["Notifications"]["Warning"] == TOPIC
    assert call("GET", f"/pipelines/{pipeline_id}").members["Pipeline"] == pipeline


def test_an_update_merges_a_config_member_by_member(call):
    pipeline_id = call("POST", "/pipelines", CONFIGS).members["Pipeline"]["Id"]
    changed = {"ContentConfig": {"StorageClass": "ReducedRedundancy"}}
    pipeline = call("PUT", f"/pipelines/{pipeline_id}", changed).members["Pipeline"]
    assert pipeline["ContentConfig"] == {
        "Bucket": "renditions",
        "StorageClass": "ReducedRedundancy",
        "Permissions": [],
    }


def test_an_update_with_a_config_ends_the_single_output_bucket(call, pipeline_id):
    changed = {"ContentConfig": {"Bucket": "elsewhere"}, "OutputBucket": "ignored"}
    pipeline = call("PUT", f"/pipelines/{pipeline_id}", changed).members["Pipeline"]
    assert "OutputBucket" not in pipeline
    assert pipeline["ContentConfig"]["Bucket"] == "elsewhere"
    assert pipeline["ThumbnailConfig"]["Bucket"] == "renditions"


@pytest.mark.parametrize(
    "permissions",
    [
        [{"GranteeType": "Group", "Grantee": "AllUsers", "Access": ["Read", "ReadAcp"]}],
        [
            {"GranteeType": "Email", "Grantee": "a@example.org", "Access": ["FullControl"]},
            {"GranteeType": "Canonical", "Grantee": "0f" * 32, "Access": ["WriteAcp"]},
        ]
        * 15,
    ],
)
def test_permissions_and_storage_class_are_kept_and_given_back(call, permissions):
    content = {"Bucket": "b", "StorageClass": "ReducedRedundancy", "Permissions": permissions}
    response = call("POST", "/pipelines", CONFIGS | {"ContentConfig": content})
    assert_answer("CreatePipeline", response.members)
    assert response.members["Pipeline"]["ContentConfig"] == content
    pipeline = Pipeline.objects.get(pk=response.members["Pipeline"]["Id"])
    assert pipeline.content_config == content


def test_more_than_thirty_permissions_are_refused(call):
    permission = {"GranteeType": "Group", "Grantee": "AllUsers", "Access": ["Read"]}
    content = {"Bucket": "b", "Permissions": [permission] * 31}
    response = call("POST", "/pipelines", CONFIGS | {"ContentConfig": content})
    assert "length less than or equal to 30" in response.members["message"]


def test_an_update_replaces_permissions_as_a_whole_and_an_empty_list_ends_them(call):
    pipeline_id = call("POST", "/pipelines", granting("Group", "AllUsers")).members["Pipeline"][
        "Id"
    ]
    other = [{"GranteeType": "Email", "Grantee": "a@example.org", "Access": ["Read"]}]
    for permissions in (other, []):
        changed = {"ContentConfig": {"Permissions": permissions}}
        response = call("PUT", f"/pipelines/{pipeline_id}", changed)
        assert_answer("UpdatePipeline", response.members)
        config = response.members["Pipeline"]["ContentConfig"]
        assert (config["Bucket"], config["Permissions"]) == ("renditions", permissions)


def test_an_update_with_an_empty_config_changes_nothing(call, pipeline_id):
    before = call("GET", f"/pipelines/{pipeline_id}").members["Pipeline"]
    changed = {"ContentConfig": {}, "ThumbnailConfig": {}, "Notifications": {}}
    response = call("PUT", f"/pipelines/{pipeline_id}", changed)
    assert response.members["Pipeline"] == before


def test_an_update_that_breaks_a_rule_changes_nothing(call, pipeline_id):
    wrong = {"Name": "new", "ContentConfig": granting("Group", "x")["ContentConfig"]}
    assert call("PUT", f"/pipelines/{pipeline_id}", wrong).status_code == 400
    assert Pipeline.objects.get(pk=pipeline_id).name == "audio"


def test_an_empty_text_clears_a_key_and_a_role_cannot_be_cleared(call):
    members = PIPELINE | {"AwsKmsKeyArn": "arn:aws:kms:eu-west-1:000000000000:key/k"}
    pipeline_id = call("POST", "/pipelines", members).members["Pipeline"]["Id"]
    cleared = call("PUT", f"/pipelines/{pipeline_id}", {"AwsKmsKeyArn": ""})
    assert cleared.members["Pipeline"]["AwsKmsKeyArn"] is None
    assert call("PUT", f"/pipelines/{pipeline_id}", {"Role": ""}).status_code == 400


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, []),
        ({"Notifications": dict.fromkeys(EVENTS, TOPIC)}, ["6003", "6004", "6005", "6006"]),
        ({"Notifications": {"Error": TOPIC.replace("us-east-1", "eu-west-1")}}, []),
        ({"Notifications": {"Warning": TOPIC}}, ["6004"]),
        ({"AwsKmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/k"}, ["6007", "6008"]),
        ({"AwsKmsKeyArn": "arn:aws:kms:eu-west-1:000000000000:key/k"}, []),
        ({"AwsKmsKeyArn": "alias/mine"}, []),
    ],
)
def test_what_is_in_another_region_is_warned_of_and_not_refused(call, changed, codes):
    created = call("POST", "/pipelines", PIPELINE | changed).members
    pipeline_id = created["Pipeline"]["Id"]
    read = call("GET", f"/pipelines/{pipeline_id}").members
    updated = call("PUT", f"/pipelines/{pipeline_id}", {"Name": "x"}).members
    for operation, answer in (("CreatePipeline", created), ("ReadPipeline", read)):
        assert_answer(operation, answer)
    assert created["Warnings"] == read["Warnings"] == updated["Warnings"]
    assert [warning["Code"] for warning in created["Warnings"]] == codes
    assert all("different regions" in warning["Message"] for warning in created["Warnings"])


def test_one_topic_is_switched_off_by_an_empty_text(call, pipeline_id):
    path = f"/pipelines/{pipeline_id}/notifications"
    call("POST", path, {"Notifications": {"Completed": TOPIC, "Error": TOPIC}})
    response = call("POST", path, {"Notifications": {"Completed": ""}})
    assert response.status_code == 200
    assert_answer("UpdatePipelineNotifications", response.members)
    assert response.members["Pipeline"]["Notifications"] == {
        "Progressing": "",
        "Completed": "",
        "Warning": "",
        "Error": TOPIC,
    }


def test_a_paused_pipeline_still_takes_jobs(call, pipeline_id):
    response = call("POST", f"/pipelines/{pipeline_id}/status", {"Status": "Paused"})
    assert response.status_code == 200
    assert_answer("UpdatePipelineStatus", response.members)
    assert response.members["Pipeline"]["Status"] == "Paused"
    assert call("POST", "/jobs", order(pipeline_id)).status_code == 201


def test_an_unknown_status_is_refused(call, pipeline_id):
    response = call("POST", f"/pipelines/{pipeline_id}/status", {"Status": "active"})
    assert "(^Active$)|(^Paused$)" in response.members["message"]


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("PUT", "", {}),
        ("POST", "/status", {"Status": "Paused"}),
        ("POST", "/notifications", {"Notifications": {}}),
    ],
)
def test_a_malformed_or_unknown_pipeline_id_is_told(call, method, tail, body):
    malformed = call(method, f"/pipelines/x{tail}", body)
    unknown = call(method, f"/pipelines/1600000000000-def456{tail}", body)
    assert (malformed.status_code, malformed.error) == (400, "ValidationException")
    assert (unknown.status_code, unknown.error) == (404, "ResourceNotFoundException")


def test_a_pipeline_with_active_jobs_is_not_deleted(call, pipeline_id):
    job_id = call("POST", "/jobs", order(pipeline_id)).members["Job"]["Id"]
    refused = call("DELETE", f"/pipelines/{pipeline_id}")
    assert (refused.status_code, refused.error) == (409, "ResourceInUseException")
    call("DELETE", f"/jobs/{job_id}")
    deleted = call("DELETE", f"/pipelines/{pipeline_id}")
    assert (deleted.status_code, deleted.members) == (202, {"Success": "true"})
    assert call("GET", f"/pipelines/{pipeline_id}").status_code == 404
    assert call("GET", f"/jobs/{job_id}").members["Job"]["PipelineId"] == pipeline_id


def test_a_pipeline_goes_through_its_life_with_boto3(boto):
    pipeline_id = boto.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    boto.update_pipeline(Id=pipeline_id, Name="renamed")
    boto.update_pipeline_notifications(Id=pipeline_id, Notifications={"Error": TOPIC})
    boto.update_pipeline_status(Id=pipeline_id, Status="Paused")
    pipeline = boto.read_pipeline(Id=pipeline_id)["Pipeline"]
    assert (pipeline["Name"], pipeline["Status"]) == ("renamed", "Paused")
    assert pipeline["Notifications"]["Error"] == TOPIC
    boto.delete_pipeline(Id=pipeline_id)
    with pytest.raises(boto.exceptions.ResourceNotFoundException):
        boto.read_pipeline(Id=pipeline_id)


@pytest.mark.parametrize("ascending", ["true", "false"])
def test_pipelines_are_paged_in_both_orders(boto, ascending):
    wanted = [boto.create_pipeline(**PIPELINE)["Pipeline"]["Id"] for _ in range(53)]
    pages = list(boto.get_paginator("list_pipelines").paginate(Ascending=ascending))
    listed = [pipeline["Id"] for page in pages for pipeline in page["Pipelines"]]
    assert listed == sorted(listed, reverse=ascending == "false")
    assert set(wanted) < set(listed)
    assert len(listed) == len(set(listed)) == 54


def test_a_refused_pipeline_is_a_typed_exception(boto):
    with pytest.raises(boto.exceptions.ValidationException, match="mutually exclusive"):
        boto.create_pipeline(**PIPELINE, **{"ContentConfig": {"Bucket": "b"}})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("PATCH", "/jobs"),
        ("HEAD", "/pipelines"),
        ("OPTIONS", "/pipelines"),
        ("GET", "/jobs/a/b/c"),
        ("GET", "/%0A%00%FF"),
    ],
)
def test_an_unknown_path_or_verb_is_an_unknown_operation(call, method, path):
    response = call(method, path)
    assert (response.status_code, response.error) == (404, "UnknownOperationException")
