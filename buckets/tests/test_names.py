from hypothesis import given, strategies

from buckets import names

segments = strategies.one_of(
    strategies.sampled_from(["", ".", "..", "a", "a.mp3", "source", "%-", "%+", "%=", "%tmp"]),
    strategies.text(
        alphabet=strategies.characters(exclude_categories=["Cs"], exclude_characters="/"),
        max_size=300,
    ),
)
keys = strategies.lists(segments, min_size=1, max_size=4).map("/".join)


@given(key=keys)
def test_a_path_leads_back_to_its_key(key):
    assert names.key(names.path(key)) == key


@given(key=keys)
def test_every_name_is_one_that_any_file_system_takes(key):
    for name in names.path(key):
        assert name.isascii()
        assert name.isprintable()
        assert 0 < len(name) <= 255
        assert "/" not in name
        assert not name.startswith(".")
        assert name != "%tmp"


@given(one=keys, other=keys)
def test_no_object_is_in_the_way_of_another(one, other):
    first, second = names.path(one), names.path(other)
    assert one == other or second[: len(first)] != first


def test_everyday_keys_are_paths_that_people_can_read():
    key = "media/uploads/3f6c1b0e-6a52-4b5e-9d5e-0c7b2f1f9a10/source"
    assert "/".join(names.path(key)) == key
    assert "/".join(names.path("My songs/Live (2024).mp3")) == "My songs/Live (2024).mp3"


def test_names_that_mean_a_place_mean_none():
    assert names.path("../../etc/passwd") == ["%2E.", "%2E.", "etc", "passwd%="]
    assert names.quoted("..") == "%2E."


def test_files_of_others_have_no_key():
    assert names.key(["song"]) is None  # would be song%=
    assert names.key([".hidden.mp3"]) is None
    assert names.key(["%zz.mp3"]) is None
    assert names.key(["%FF.mp3"]) is None
    assert names.key(["\udcff.mp3"]) is None
