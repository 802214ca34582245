"""A real S3 server: Ceph's radosgw over one monitor and one object store in memory.

Signatures, CORS, conditions and multipart uploads are Ceph's, which checks them as Amazon does.
Every process belongs to the one that started it and dies with it; two of these never meet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.client import BaseClient
from botocore.config import Config

from tests.ports import own_port

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw-admin")
REGION = "us-east-1"
START_S = 90
_ADMIN = "client.rgw.tests"

# What the store may hold, in bytes; memory is taken only as it is used.
STORE_BYTES = 6 * 1024**3
_CONFIGURATION = """
[global]
fsid = {cluster}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon warn on pool no redundancy = false
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail warn = 0
mon data avail crit = 0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
run dir = {folder}
admin socket =
pid file =
log file = {folder}/log/$name.log
keyring = {folder}/keyring
mon data = {folder}/mon
osd data = {folder}/osd
osd class update on start = false
osd crush update on start = false
osd objectstore = memstore
memstore device bytes = {store_bytes}
rgw data = {folder}/rgw
[{admin}]
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


@dataclass(frozen=True)
class Keys:
    """What a user of the server signs with."""

    access_key_id: str
    secret_access_key: str
    user_id: str = ""  # in grants; the user's address is <user_id>@example.org


def missing() -> str:
    """Return what keeps the server from being started here; empty when nothing does."""
    names = [name for name in ("radosgw", *PROGRAMS, "setpriv") if not shutil.which(name)]
    if not names:
        return ""
    return (
        f"no {', '.join(names)} on this machine: `make test-s3` installs them, or install the "
        "packages ceph-mon, ceph-osd and radosgw"
    )


class S3Server:
    """One server in ``folder``, which holds nothing else; made by ``create``, ended by ``end``.

    ``stop`` and ``start`` take only the front away and bring it back at the same address; what
    is stored stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._mon_port = own_port(), own_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CEPH_CONF": str(folder / "ceph.conf"),
        }
        self._store: list[subprocess.Popen] = []
        self._front: subprocess.Popen | None = None
        self._users = 0

    @classmethod
    def create(cls, folder: Path) -> S3Server:
        """Return a server that answers. ``folder`` exists. Raises AssertionError."""
        problem = missing()
        assert not problem, problem
        for attempt in range(3):  # a busy machine may take longer than is waited
            server = cls(folder / f"{attempt}")
            try:
                server._make_store()
                server.start()
            except (AssertionError, subprocess.SubprocessError) as error:
                server.end()
                failed = f"{error}\n{server.log()}"
            else:
                return server
        raise AssertionError(failed)

    # --- starting and stopping ----------------------------------------------------------------

    def start(self) -> None:
        """Start the front and wait until it answers."""
        self._front = self._daemon("radosgw", "-f", "-n", _ADMIN)
        end = time.monotonic() + START_S
        while not self._answers():
            assert self._front.poll() is None, "radosgw ended"
            assert time.monotonic() < end, f"radosgw does not answer after {START_S} s"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the front at once: connections break, new ones are refused."""
        if self._front is not None:
            _kill(self._front)
            self._front = None

    def end(self) -> None:
        """End every process and forget what was stored."""
        self.stop()
        while self._store:
            _kill(self._store.pop())

    def pids(self) -> list[int]:
        return [one.pid for one in (*self._store, self._front) if one is not None]

    def __enter__(self) -> S3Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def log(self) -> str:
        """Return the last that every process said."""
        files = sorted((self.folder / "log").glob("*"))
        return "\n".join(
            f"{file.name}: {file.read_text(errors='replace')[-2000:]}" for file in files
        )

    # --- users and buckets --------------------------------------------------------------------

    def user(self) -> Keys:
        """Return the keys of a new user, who sees nothing of the others."""
        self._users += 1
        name = f"user{self._users}"
        key_id = f"AKIATESTS{self._users:03}{uuid.uuid4().hex[:8].upper()}"
        keys = Keys(key_id, uuid.uuid4().hex, name)
        self._admin(
            "user",
            "create",
            f"--uid={name}",
            f"--display-name={name}",
            f"--email={name}@example.org",
            f"--access-key={keys.access_key_id}",
            f"--secret-key={keys.secret_access_key}",
        )
        return keys

    def shut_out(self, keys: Keys) -> None:
        """Refuse whatever this user asks for, until ``let_in``."""
        self._admin("user", "suspend", f"--uid={keys.user_id}")

    def let_in(self, keys: Keys) -> None:
        self._admin("user", "enable", f"--uid={keys.user_id}")

    def client(self, keys: Keys, *, url: str | None = None, **config: Any) -> BaseClient:
        """Return a boto3 client that signs with ``keys``; ``url`` when a proxy stands between."""
        return boto3.client(
            "s3",
            endpoint_url=url or self.url,
            region_name=REGION,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                **config,
            ),
        )

    def bucket(self, keys: Keys, name: str | None = None) -> str:
        """Return the name of a new, private, empty bucket of the user with ``keys``."""
        name = name or f"bucket-{uuid.uuid4().hex[:12]}"
        self.client(keys).create_bucket(Bucket=name)
        return name

    def make_room(self) -> None:
        """Free what deleted objects of many parts take, which else stays for two hours."""
        self._admin("gc", "process", "--include-all")

    # --- inside -------------------------------------------------------------------------------

    def _make_store(self) -> None:
        """Start monitor and object store."""
        for name in ("mon", "osd", "rgw", "log"):
            (self.folder / name).mkdir(parents=True)
        cluster = str(uuid.uuid4())
        (self.folder / "ceph.conf").write_text(
            _CONFIGURATION.format(
                cluster=cluster,
                mon_port=self._mon_port,
                port=self.port,
                folder=self.folder,
                store_bytes=STORE_BYTES,
                admin=_ADMIN,
            )
        )
        every = ("--cap", "mon", "allow *")
        keyring = ("ceph-authtool", "keyring", "--gen-key", "-n")
        self._run(keyring[0], "--create-keyring", *keyring[1:], "mon.", *every)
        more = ("--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        self._run(*keyring, "client.admin", *every, *more)
        address = f"[v1:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--addv", "a", address, "--fsid", cluster, "monmap")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._store.append(self._daemon("ceph-mon", "-f", "-i", "a"))
        store = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "create", store)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", store)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=tests", "root=default")
        self._store.append(self._daemon("ceph-osd", "-f", "-i", "0"))

    def _admin(self, *command: str) -> None:
        self._run("radosgw-admin", "-n", _ADMIN, *command)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-1000:]}"
        return done.stdout

    def _daemon(self, *command: str) -> subprocess.Popen:
        under_us = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        with (self.folder / "log" / f"{command[0]}.out").open("ab") as log:
            return subprocess.Popen(
                under_us,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        try:
            return requests.get(self.url, timeout=2).status_code == 200
        except requests.RequestException:
            return False


def _kill(process: subprocess.Popen) -> None:
    process.kill()  # nothing outlives the server, so nothing has to be written
    process.wait(60)
