"""The API as the site serves it: behind every middleware, beside every page."""

import pytest
import urllib3

from elastic_transcoder.tests.api.conftest import client_for, order


@pytest.fixture
def site(transactional_db, live_server):
    return live_server.url


def test_the_sites_own_key_and_pipeline_are_there_and_take_a_job(site, settings):
    client = client_for(site)
    pipelines = client.get_paginator("list_pipelines").paginate().build_full_result()["Pipelines"]
    (pipeline,) = [row for row in pipelines if row["Name"] == settings.TRANSCODER_PIPELINE_NAME]
    created = client.create_job(**order(pipeline["Id"]))
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert client.read_job(Id=created["Job"]["Id"])["Job"]["Progress"] == 0


def test_the_api_sets_no_cookie_and_redirects_nobody(site):
    for path in ("/2012-09-25/pipelines", "/2012-09-25/nothing/", "/2012-09-25/"):
        response = urllib3.request("GET", f"{site}{path}", redirect=False, timeout=5)
        assert response.status == 403
        assert response.headers["x-amzn-ErrorType"] == "MissingAuthenticationToken"
        assert response.headers["Content-Type"] == "application/json"
        assert "Set-Cookie" not in response.headers
