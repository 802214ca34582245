import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sns import keys
from sns.sign import Signer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path):
    return tmp_path / "data" / "sns.key.pem", tmp_path / "data" / "sns.cert.pem"


def contents(files):
    return [file.read_bytes() for file in files]


def test_a_key_and_its_certificate_are_made(files):
    keys.ensure(*files)

    key = serialization.load_pem_private_key(files[0].read_bytes(), password=None)
    certificate = x509.load_pem_x509_certificate(files[1].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert key.key_size == 2048
    assert certificate.public_key() == key.public_key()
    assert names.get_values_for_type(x509.DNSName) == ["sns.amazonaws.com"]
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days > 20 * 365


def test_only_the_owner_may_read_them_and_nothing_else_is_left(files):
    keys.ensure(*files)

    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert sorted(files[0].parent.iterdir()) == sorted(files)


def test_what_is_there_stays(files):
    keys.ensure(*files)
    before = contents(files)

    keys.ensure(*files)
    assert contents(files) == before


def test_a_lost_certificate_is_made_again_from_the_key(files):
    keys.ensure(*files)
    key_before = files[0].read_bytes()
    files[1].unlink()

    keys.ensure(*files)
    assert files[0].read_bytes() == key_before
    assert Signer(*contents(files))


def another_certificate(tmp_path):
    files = tmp_path / "other.key.pem", tmp_path / "other.cert.pem"
    keys.ensure(*files)
    return files[1].read_bytes()


@pytest.mark.parametrize("certificate", [None, b"", b"nonsense"])
def test_a_certificate_of_another_key_or_none_at_all_is_replaced(files, certificate, tmp_path):
    keys.ensure(*files)
    key_before = files[0].read_bytes()
    files[1].write_bytes(another_certificate(tmp_path) if certificate is None else certificate)

    keys.ensure(*files)
    assert files[0].read_bytes() == key_before
    assert Signer(*contents(files))


def test_a_certificate_alone_is_another_installations_and_stays(files, tmp_path):
    files[1].parent.mkdir()
    files[1].write_bytes(another_certificate(tmp_path))
    before = files[1].read_bytes()

    keys.ensure(*files)
    assert files[1].read_bytes() == before
    assert not files[0].exists()


def test_what_is_no_certificate_does_not_keep_a_pair_from_being_made(files):
    files[1].parent.mkdir()
    files[1].write_bytes(b"nonsense")

    keys.ensure(*files)
    assert Signer(*contents(files))


@pytest.mark.parametrize("key", [b"", b"nonsense"])
def test_a_key_file_with_something_else_in_it_is_an_error_and_is_kept(files, key):
    files[0].parent.mkdir()
    files[0].write_bytes(key)

    with pytest.raises(ValueError, match=r"sns\.key\.pem"):
        keys.ensure(*files)
    assert files[0].read_bytes() == key


def test_the_first_key_that_was_written_wins(files, monkeypatch):
    make = keys._new_key
    first = []

    def overtaken():
        # Another process comes and is done while this one still makes its key.
        monkeypatch.setattr(keys, "_new_key", make)
        keys.ensure(*files)
        first.extend(contents(files))
        return make()

    monkeypatch.setattr(keys, "_new_key", overtaken)
    keys.ensure(*files)
    assert contents(files) == first


def test_processes_that_race_end_with_one_pair(files):
    # Each waits for the end of its input, so that they really run at once.
    program = (
        "import sys, pathlib, sns.keys; sys.stdin.read();"
        "sns.keys.ensure(*map(pathlib.Path, sys.argv[1:]))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, *map(str, files)], stdin=subprocess.PIPE, cwd=ROOT
        )
        for _ in range(3)
    ]
    for racer in racers:
        racer.stdin.close()

    assert [racer.wait(timeout=30) for racer in racers] == [0, 0, 0]
    assert Signer(*contents(files))
    assert sorted(files[0].parent.iterdir()) == sorted(files)
