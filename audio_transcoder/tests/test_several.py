"""What is done with many files at once."""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.utils import timezone
from zipstream import ZipStream

from audio_transcoder.library import archive, selection
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.tests.test_kept_state import kept, tell
from buckets import BucketError

pytestmark = pytest.mark.django_db

ACTS = ("download", "delete", "order", "retry", "cancel")


@pytest.fixture(autouse=True)
def free_places() -> None:
    cache.clear()


def test_who_stalls_for_too_long_does_not_give_back_a_place_that_is_somebody_elses(person):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        stalled = archive.Place.take(person)
        clock.shift(timedelta(minutes=5))
        others = [archive.Place.take(person) for _ in range(archive.AT_ONCE)]
        stalled.leave()
        assert archive.Place.take(person) is None
        others[0].leave()
        assert archive.Place.take(person)


def url(act: str) -> str:
    return f"/audio/several/{act}/"


def done_file(person, name: str, formats=("wav", "flac")) -> AudioFile:
    job = make_job(make_file(person, name=name, file_name=f"{name}.mp3"), formats)
    store_results(job)
    tell(job, "Complete")
    for rendition in job.renditions.all():
        Rendition.objects.filter(pk=rendition.pk).update(size_bytes=len(b"result"))
    return job.audio_file


def codes(*files: AudioFile) -> list[str]:
    return [str(one.code) for one in files]


def unzip(answer) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.content
    data = b"".join(answer.streaming_content)
    if "Content-Length" in answer:
        assert len(data) == int(answer["Content-Length"])
    with zipfile.ZipFile(io.BytesIO(data)) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name) for name in zipped.namelist()}


# --- who and which ----------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_w1_files_of_somebody_else_are_not_there(signed_in, person, act, method):
    theirs = make_job(make_file(make_person())).audio_file
    mine = make_job(make_file(person)).audio_file
    send = getattr(signed_in, method)
    assert send(url(act), {"file": codes(theirs), "formats": "mp3"}).status_code == 404
    assert send(url(act), {"file": ["abc", "1" * 40], "formats": "mp3"}).status_code == 302
    both = {"file": codes(theirs, mine), "formats": ["mp3"], "kinds": ["original"]}
    assert send(url(act), both).status_code in (200, 302)
    assert AudioFile.objects.filter(pk=theirs.pk).exists()
    assert kept(theirs) == "waiting"
    assert theirs.jobs.count() == 1


@pytest.mark.parametrize("act", ACTS)
def test_w1_visitors_are_sent_to_sign_in_and_other_verbs_refused(client, signed_in, act):
    assert signed_in.put(url(act)).status_code == 405
    signed_in.logout()
    assert signed_in.get(url(act), {"all": "1"}).status_code == 302
    assert "/accounts/login/" in signed_in.post(url(act), {"all": "1"})["Location"]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("chosen", [{}, {"all": "2"}, {"all": "1", "q": "zzz"}, {"file": "x"}])
def test_nothing_chosen_is_said_in_the_library(signed_in, person, act, chosen):
    make_file(person)
    answer = signed_in.get(url(act), chosen, follow=True)
    assert answer.redirect_chain[0][0].startswith("/audio/?")
    assert re.search(r"Choose at least one file|nothing to do", answer.content.decode())


def test_all_that_match_are_meant_and_nothing_uploaded_since(signed_in, person):
    files = [make_file(person, name=f"Take {n}") for n in range(30)]
    other = make_file(person, name="Other")
    asked = signed_in.get(url("delete"), {"all": "1", "q": "take", "sort": "name"}).content.decode()
    assert "Delete 30 files?" in asked
    data = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked))
    late = make_file(person, name="Take 31")
    answer = signed_in.post(url("delete"), data)
    assert answer["Location"] == "/audio/?q=take&sort=name"
    assert set(AudioFile.objects.all()) == {other, late}
    assert len(files) == 30


def test_a_long_piece_of_work_goes_on_where_its_turn_ended(signed_in, person, monkeypatch):
    monkeypatch.setattr(selection, "FILES_AT_ONCE", 2)
    monkeypatch.setattr(selection, "TURN_S", -1.0)
    for number in range(5):
        make_file(person, name=f"{number}")
    address, left = f"{url('order')}?all=1&formats=mp3", []
    for _turn in range(3):
        page = signed_in.get(address).content.decode()
        data = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        address = signed_in.post(url("order"), data | {"formats": "mp3"})["Location"]
        left.append(AudioFile.objects.filter(jobs=None).count())
        assert 'value="mp3"' in page
        assert re.search(r'value="mp3"[^>]*checked', page)
    assert left == [3, 1, 0]
    assert address == "/audio/?"


# --- acts -------------------------------------------------------------------------------------


def test_w15_files_deleted_in_another_tab_get_a_calm_answer(signed_in, person):
    data = {"file": codes(make_file(person), make_file(person))}
    assert "Delete 2 files?" in signed_in.get(url("delete"), data).content.decode()
    first = signed_in.post(url("delete"), data, follow=True).content.decode()
    second = signed_in.post(url("delete"), data, follow=True).content.decode()
    assert "2 files are deleted." in first
    assert "These files are deleted already." in second


def test_another_format_is_made_of_those_that_have_it_not(signed_in, person):
    one, other = done_file(person, "a"), done_file(person, "b", ("mp3",))
    data = {"file": codes(one, other)}
    assert signed_in.post(url("order"), data).status_code == 422
    answer = signed_in.post(url("order"), data | {"formats": ["mp3", "wav"]}, follow=True)
    assert "2 files are being converted." in answer.content.decode()
    newest = [
        list(f.jobs.first().renditions.values_list("format_name", flat=True)) for f in (one, other)
    ]
    assert newest == [["mp3"], ["wav"]]


def test_w15_what_is_under_way_is_not_ordered_twice(signed_in, person):
    data = {"file": codes(done_file(person, "a")), "formats": ["mp3"]}
    signed_in.post(url("order"), data)
    signed_in.post(url("order"), data)
    assert TranscodeJob.objects.count() == 2


def test_open_ones_are_canceled_and_failed_ones_tried_again(signed_in, person):
    waits, done = make_job(make_file(person)).audio_file, done_file(person, "done")
    data = {"file": codes(waits, done)}
    assert "of 1 file?" in signed_in.get(url("cancel"), data).content.decode()
    signed_in.post(url("cancel"), data)
    assert (kept(waits), kept(done)) == ("canceled", "ready")
    signed_in.post(url("retry"), data)
    assert (kept(waits), kept(done)) == ("waiting", "ready")
    assert done.jobs.count() == 1


# --- the archive ------------------------------------------------------------------------------


def test_one_kind_of_file_lies_flat_in_the_archive(signed_in, person):
    files = [done_file(person, name) for name in ("Interview", "Łódź 🎵", "interview")]
    data = {"file": codes(*files), "kinds": ["flac"]}
    answer = signed_in.post(url("download"), data)
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="Recordings ')
    assert "no-store" in answer["Cache-Control"]
    assert unzip(answer) == {
        "interview.flac": b"result",
        "Łódź 🎵.flac": b"result",
        "Interview (2).flac": b"result",
    }
    assert Rendition.objects.exclude(downloaded_at=None).count() == 3


def test_several_kinds_have_a_folder_each_and_the_same_name_in_all(signed_in, person):
    first = done_file(person, "Take", ("wav",))
    second = done_file(person, "Take", ("wav", "flac"))
    data = {"file": codes(first, second), "kinds": ["wav", "flac", "original"], "sort": "created"}
    assert list(unzip(signed_in.post(url("download"), data))) == [
        "Originals/Take.mp3",
        "WAV/Take.wav",
        "Originals/Take (2).mp3",
        "WAV/Take (2).wav",
        "FLAC/Take (2).flac",
    ]
    assert not AudioFile.objects.filter(downloaded_at=None).exists()


def test_a_folder_has_a_name_that_every_system_takes(signed_in, person):
    take = done_file(person, "Take", ("flac", "flac-exact"))
    data = {"file": codes(take), "kinds": ["flac", "flac-exact"]}
    paths = list(unzip(signed_in.post(url("download"), data)))
    assert paths == ["FLAC/Take.flac", "FLAC 1_1/Take (1_1).flac"]


def test_the_page_offers_what_there_is_and_ticks_the_results(signed_in, person):
    data = {"file": codes(done_file(person, "a"))}
    page = signed_in.get(url("download"), data).content.decode()
    assert "Download 1 file as a ZIP" in page
    ticked = re.findall(r'value="(\w+)"[^>]*checked', page)
    assert ticked == ["wav", "flac"]
    assert 'value="mp4"' not in page
    for kinds in ([], ["mp4"], ["../x"]):
        answer = signed_in.post(url("download"), data | {"kinds": kinds})
        assert answer.status_code == 422


def test_u10_u15_names_in_an_archive_are_no_paths(signed_in, person):
    names = ["../../etc/x", "C:\\a\\b", "con", "a\r\nb", "trailing. ", "x" * 190 + "ł" * 60, "..."]
    names += ["AC/DC live 24/7"]
    files = []
    for name in names:
        one = done_file(person, "any", ("wav",))
        AudioFile.objects.filter(pk=one.pk).update(name=name)
        files.append(one)
    data = {"file": codes(*files), "kinds": ["wav"], "sort": "created"}
    found = list(unzip(signed_in.post(url("download"), data)))
    assert len(found) == len(names)
    assert "AC_DC live 24_7.wav" in found
    for path in found:
        assert re.fullmatch(r'[^/\\:*?"<>|\x00-\x1f]+\.wav', path)
        assert len(path.encode()) <= 255
        assert not re.fullmatch(r"con\..*", path)


@pytest.mark.parametrize("looked_at", [200, 1])
def test_what_is_missing_is_left_out_and_named(signed_in, person, monkeypatch, looked_at):
    monkeypatch.setattr(archive, "LOOKED_AT_FIRST", looked_at)
    files = [done_file(person, name, ("wav",)) for name in ("a", "b", "c")]
    gone = files[1].renditions.get().file
    gone.storage.delete(gone.name)
    data = {"file": codes(*files), "kinds": ["wav"], "sort": "name"}
    answer = signed_in.post(url("download"), data)
    assert ("Content-Length" in answer) == (looked_at == 200)
    found = unzip(answer)
    assert list(found) == ["a.wav", "c.wav", "Not in this archive (1).txt"]
    assert "b.wav" in found["Not in this archive (1).txt"].decode()


@pytest.mark.parametrize("looked_at", [200, 1])
def test_a_store_that_fails_in_the_middle_leaves_no_archive(
    signed_in, person, monkeypatch, looked_at
):
    monkeypatch.setattr(archive, "LOOKED_AT_FIRST", looked_at)
    files = [done_file(person, name, ("wav",)) for name in ("a", "b")]
    data = {"file": codes(*files), "kinds": ["wav"], "sort": "name"}
    answer = signed_in.post(url("download"), data)
    cut = files[1].renditions.get().file
    cut.storage.delete(cut.name)
    cut.storage.save(cut.name, ContentFile(b"res"))
    received = bytearray()
    with pytest.raises(BucketError, match="ends before"):
        for piece in answer.streaming_content:
            received += piece
    assert not zipfile.is_zipfile(io.BytesIO(received))


def test_at_most_two_archives_of_a_person_are_made_at_once(signed_in, person):
    data = {"file": codes(done_file(person, "a")), "kinds": ["wav"]}
    open_ones = [signed_in.post(url("download"), data) for _ in range(archive.AT_ONCE)]
    refused = signed_in.post(url("download"), data)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "30"
    assert "2 downloads of yours are under way" in refused.content.decode()
    for close in open_ones[0]._resource_closers:  # as the server does; nothing was read of it
        close()
    assert unzip(signed_in.post(url("download"), data))
    other = make_file(make_person())
    signed_in.force_login(other.owner)
    answer = signed_in.post(url("download"), {"file": codes(other), "kinds": ["original"]})
    assert list(unzip(answer)) == ["Interview.mp3"]


def test_a_store_that_is_away_gives_the_place_back(signed_in, person, monkeypatch):
    data = {"file": codes(done_file(person, "a")), "kinds": ["wav"]}

    def away(_self, _key):
        raise BucketError("away", bucket="local")

    with monkeypatch.context() as patch:
        patch.setattr("buckets.folder.FolderBucket.stat", away)
        with pytest.raises(BucketError):
            signed_in.post(url("download"), data)
    assert [archive.Place.take(person) is not None for _ in range(3)] == [True, True, False]


def test_more_files_than_an_archive_holds_are_refused_in_words(signed_in, person, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    files = [done_file(person, name) for name in ("a", "b")]
    data = {"file": codes(*files), "kinds": ["wav", "flac"]}
    answer = signed_in.post(url("download"), data)
    assert answer.status_code == 422
    assert "An archive holds at most 3 files." in answer.content.decode()


def test_the_length_of_an_archive_beyond_four_gibibytes_is_that_of_zip64():
    """As APPNOTE.TXT 6.3.10 has it: 4.3.7, 4.3.9.2, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3."""
    size, name = 5 * 1024**3, "a.wav"
    zipped = ZipStream(sized=True)
    zipped.add(itertools.repeat(b""), name, size=size)
    header, descriptor, entry, ends = 30 + len(name) + 20, 24, 46 + len(name) + 4 + 16, 56 + 20 + 22
    assert len(zipped) == header + size + descriptor + entry + ends


def test_many_originals_of_one_name_are_numbered_without_trying_every_number():
    class Counting(set):
        asked = 0

        def __contains__(self, path: object) -> bool:
            self.asked += 1
            return super().__contains__(path)

    paths = archive.Paths(has_folders=True)
    paths._taken = Counting()
    # Recorders call everything alike; people give it names of its own.
    found = [
        paths.path("Originals", "Rec.wav", paths.number_of(f"Talk {number}"))
        for number in range(200)
    ]
    assert found[:2] == ["Originals/Rec.wav", "Originals/Rec (2).wav"]
    assert found[-1] == "Originals/Rec (200).wav"
    assert len(set(found)) == 200
    assert paths._taken.asked < 500
