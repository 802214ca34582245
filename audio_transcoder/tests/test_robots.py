"""What programs that collect pages are told."""

from __future__ import annotations


def test_robots_are_asked_to_leave_what_is_private_alone(client):
    answer = client.get("/robots.txt")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    rules = answer.text.splitlines()
    assert rules[0] == "User-agent: *"
    for path in ("/audio/", "/messages/", "/accounts/", "/admin/"):
        assert f"Disallow: {path}" in rules
    assert "Disallow: /" not in rules
    assert "Disallow: /s/" not in rules  # else their "noindex" is never read
    assert client.head("/robots.txt").status_code == 200
    assert client.post("/robots.txt").status_code == 405
