"""The whole system as a person runs it: web server, workers and steps, on a port of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from buckets.cors import cors_rules
from tests.ports import own_port
from tests.radosgw import S3Server

ROOT = Path(__file__).resolve().parent.parent


def wait_for(
    condition: Callable[[], object], what: str, timeout_s: float = 120, *, every_s: float = 0.1
) -> object:
    """Return the first true value of ``condition``; fail with ``what`` when none comes."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        # Only now: who got no processor for so long has not looked since.
        assert time.monotonic() < end, f"waited {timeout_s:.0f} s in vain for {what}"
        time.sleep(every_s)
    return value


def memory_bytes(pid: int, line: str) -> int:
    """Return ``VmRSS`` (now) or ``VmHWM`` (the most ever) of a process. Source: proc(5)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{line}:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Growth:
    """How much larger processes have been since this was made."""

    def __init__(self, pids: list[int]) -> None:
        self.before: dict[int, int] = {}
        for pid in pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): forget the peak
            self.before[pid] = memory_bytes(pid, "VmRSS")

    def most_bytes(self) -> int:
        """Return the growth of the one that grew most."""
        return max(memory_bytes(pid, "VmHWM") - size for pid, size in self.before.items())


class System:
    """One running installation in a folder of its own; starts and stops as often as liked."""

    bucket = "local"

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = own_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(data_dir),
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "ENV_FILE": "",
            "ACCOUNT_SIGNUP_RATE_LIMIT": "1000/m/ip",  # all our people have one address
            **{name: str(value) for name, value in settings.items()},
        }

    # --- starting and stopping ----------------------------------------------------------------

    def start(self) -> System:
        log = (self.data_dir / "run.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(self._is_healthy, f"a healthy system; see {log.name}", 300)
        except AssertionError:
            self.stop()
            raise AssertionError(self.log()[-4000:]) from None
        return self

    def _is_healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(self.log()[-4000:])
        try:
            return requests.get(f"{self.url}/health/", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        for pid in self.descendants():  # a stopped process does not hear SIGTERM
            self.kill(pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(60)
        self.process = None

    # --- processes ----------------------------------------------------------------------------

    @staticmethod
    def kill(pid: int, number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def descendants(self) -> dict[int, str]:
        """The command line of every process below ours, by process id."""
        children: dict[int, list[int]] = {}
        lines: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                stat = (folder / "stat").read_text()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            pid = int(folder.name)
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(pid)
            lines[pid] = line
        found: dict[int, str] = {}
        todo = [self.process.pid] if self.process else []
        while todo:
            for child in children.get(todo.pop(), []):
                found[child] = lines[child]
                todo.append(child)
        return found

    def pids(self, pattern: str) -> list[int]:
        return [pid for pid, line in self.descendants().items() if re.search(pattern, line)]

    @property
    def web_pids(self) -> list[int]:
        return self.pids(r"gunicorn")

    @property
    def worker_pids(self) -> list[int]:
        return self.pids(r"transcode_worker --kind transcode")

    def stand_still(self, find_pids: Callable[[], list[int]]) -> list[int]:
        """Stop the processes found, none of them in a transaction, and return their ids.

        One that stood still in a transaction would hold SQLite's write lock against all others.
        """

        def stopped() -> list[int]:
            pids = find_pids()
            for pid in pids:
                self.kill(pid, signal.SIGSTOP)
            if self.is_locked():
                for pid in pids:
                    self.kill(pid, signal.SIGCONT)
                return []
            return pids

        return wait_for(stopped, "processes that hold no lock")

    def ffmpeg_pids(self) -> list[int]:
        return self.pids(r"ffmpeg.*-progress")

    # --- what it left -------------------------------------------------------------------------

    def log(self) -> str:
        path = self.data_dir / "run.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def access_log(self) -> str:
        return (self.data_dir / "log" / "access.log").read_text(errors="replace")

    def rows(self, sql: str, *values: object) -> list[tuple]:
        database = sqlite3.connect(
            f"file:{self.data_dir / 'db.sqlite3'}?mode=ro", uri=True, timeout=10
        )
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    @contextlib.contextmanager
    def locked(self, timeout_s: float = 10) -> Iterator[None]:
        """Hold SQLite's write lock. Raises sqlite3.OperationalError after ``timeout_s``."""
        database = sqlite3.connect(
            self.data_dir / "db.sqlite3", timeout=timeout_s, isolation_level=None
        )
        try:
            database.execute("BEGIN IMMEDIATE")
            yield
        finally:
            database.close()  # which rolls back

    def is_locked(self) -> bool:
        """Return whether somebody has held SQLite's write lock for the last two seconds."""
        try:
            with self.locked(timeout_s=2):
                return False
        except sqlite3.OperationalError:
            return True

    def count(self, table: str, where: str = "1=1") -> int:
        return self.rows(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]  # noqa: S608

    def objects(self) -> list[str]:
        """Every object of the web app's bucket by its key; a folder's as a path below it."""
        root = self.data_dir / "buckets" / "local"
        found = []
        # os.walk passes over folders that vanish meanwhile.
        for folder, below, names in os.walk(root):
            below[:] = [name for name in below if name != "%tmp"]  # copies in the making
            found += [
                str((Path(folder) / name).relative_to(root))
                for name in names
                if not name.startswith(".")
            ]
        return sorted(found)

    def objects_at_rest(self) -> list[str]:
        """Every object, as soon as no job is open that would add one."""
        open_jobs = "status IN ('Submitted', 'Progressing')"
        tables = ("audio_transcoder_transcodejob", "elastic_transcoder_job")
        wait_for(lambda: not any(self.count(one, open_jobs) for one in tables), "open jobs to end")
        return self.objects()

    def read_object(self, key: str) -> bytes:
        return (self.data_dir / "buckets" / "local" / key).read_bytes()

    def write_object(self, key: str, data: bytes) -> None:
        path = self.data_dir / "buckets" / "local" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def secrets(self) -> dict[str, str]:
        lines = (self.data_dir / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )


class SystemOnS3(System):
    """The same with its objects in a private bucket of its own: only the environment differs.

    The bucket has the CORS rules that we tell people to give theirs. ``url``: of a proxy before
    the server, if there is one.
    """

    def __init__(self, data_dir: Path, server: S3Server, url: str = "", **settings: object) -> None:
        self.keys = server.user()
        self.bucket = server.bucket(self.keys)
        self.s3 = server.client(self.keys)
        super().__init__(
            data_dir,
            AWS_STORAGE_BUCKET_NAME=self.bucket,
            AWS_S3_ENDPOINT_URL=url or server.url,
            AWS_S3_ADDRESSING_STYLE="path",
            AWS_ACCESS_KEY_ID=self.keys.access_key_id,
            AWS_SECRET_ACCESS_KEY=self.keys.secret_access_key,
            **settings,
        )
        rules = cors_rules(self.url)
        for rule in rules["CORSRules"]:
            rule["AllowedOrigins"].append(f"http://localhost:{self.port}")  # as SITE_URL has it
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration=rules)

    def objects(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def read_object(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def write_object(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)


# Marks a module or test that uses ``system`` to be run on folders and on a real S3 server.
on_both_kinds = pytest.mark.parametrize(
    "system", ["folders", pytest.param("s3", marks=pytest.mark.s3)], indirect=True
)


def new_session() -> requests.Session:
    """Return a session that keeps its cookies and no connection.

    The server ends one that has idled for some seconds, perhaps just as the next request sets out
    on it; a browser would ask once more, requests does not.
    """
    session = requests.Session()
    session.headers["Connection"] = "close"
    return session


class Person:
    """Somebody at the site with a browser that runs no scripts."""

    def __init__(self, system: System, name: str) -> None:
        self.system = system
        self.name = name
        self.password = "a long Pass-phrase 7"
        self.session = new_session()

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.system.url + path, timeout=60, **options)

    def post(self, path: str, data: dict, **options: object) -> requests.Response:
        token = self.session.cookies.get("csrftoken") or self._fetch_token()
        headers = {"Referer": self.system.url, **options.pop("headers", {})}
        return self.session.post(
            self.system.url + path,
            data={"csrfmiddlewaretoken": token, **data},
            headers=headers,
            timeout=120,
            **options,
        )

    def _fetch_token(self) -> str:
        self.get("/accounts/login/")
        return self.session.cookies["csrftoken"]

    def sign_up(self) -> Person:
        self.get("/accounts/signup/")
        form = {"username": self.name, "email": "", "password1": self.password}
        form["password2"] = self.password
        response = self.post("/accounts/signup/", form)
        assert response.status_code == 200, response.text
        assert "/accounts/signup/" not in response.url, response.text
        return self

    def sign_in(self) -> Person:
        response = self.post("/accounts/login/", {"login": self.name, "password": self.password})
        assert "/accounts/login/" not in response.url, response.text
        return self

    def upload(self, path: Path, formats: tuple[str, ...] = ("wav", "flac", "mp4")) -> str:
        """Upload a file with the plain form; return the path of its page."""
        page = self.get("/audio/upload/")
        token = re.search(r'name="token" value="([0-9a-f-]+)"', page.text)[1]
        with path.open("rb") as file:
            response = self.post(
                "/audio/upload/",
                {"token": token, "name": "", "formats": list(formats)},
                files={"mp3_file": (path.name, file, "audio/mpeg")},
                allow_redirects=False,
            )
        assert response.status_code == 302, (response.status_code, response.text)
        return response.headers["Location"]

    def wait_until_ready(self, count: int = 1, timeout_s: float = 120) -> None:
        """Wait until ``count`` messages of this person tell of finished work."""
        wait_for(lambda: len(self.messages()) >= count, f"{count} messages", timeout_s)

    def messages(self) -> list[str]:
        rows = self.system.rows(
            "SELECT m.text FROM transcode_messages_message m JOIN auth_user u ON u.id = m.user_id"
            " WHERE u.username = ? ORDER BY m.id",
            self.name,
        )
        return [text for (text,) in rows]
