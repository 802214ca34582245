import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import sandbox
from tests.system import is_running, wait_for

LIMITS = {"memory_bytes": 1 << 30, "cpu_s": 10, "file_bytes": 1 << 20}


def run(code: str, folder: Path | None, **limits) -> tuple[int, str]:
    process = sandbox.start(
        ["/usr/bin/env", sys.executable, "-I", "-c", code],
        folder=folder,
        readable=[Path(sys.prefix), Path(sys.base_prefix)],
        **(LIMITS | limits),
    )
    try:
        out, err = process.communicate(timeout=30)
    finally:
        sandbox.kill(process)
    return process.returncode, (out + err).decode()


def test_this_kernel_grants_at_least_two_fences():
    assert sum(sandbox.capabilities().values()) >= 2, sandbox.capabilities()


def test_k18_a_fenced_program_sees_no_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        port = trap.getsockname()[1]
        status, said = run(
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)", tmp_path
        )
        assert status != 0
        assert "Error" in said
        with pytest.raises(TimeoutError):
            trap.accept()


def test_k18_a_fenced_program_writes_only_into_its_own_folder(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    assert run(f"open({str(own / 'a')!r}, 'w').write('x')", own)[0] == 0
    status, said = run(f"open({str(other / 'a')!r}, 'w').write('x')", own)
    assert (own / "a").read_text() == "x"
    assert status != 0
    assert "PermissionError" in said
    assert not list(other.iterdir())


def test_k18_a_fenced_program_reads_nothing_that_it_was_not_given(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    own = tmp_path / "own"
    own.mkdir()
    status, said = run(f"print(open({str(secret)!r}).read())", own)
    assert status != 0
    assert "PermissionError" in said


def test_k18_a_fenced_program_sees_no_secret_of_its_parent(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "do not tell")
    monkeypatch.setenv("DATABASE_URL", "postgres://do-not-tell")
    status, said = run(
        f"import os; print(dict(os.environ)); print(open('/proc/{os.getpid()}/environ').read())",
        tmp_path,
    )
    assert status != 0
    assert "LANG" in said
    assert "tell" not in said


def test_k18_a_fenced_program_starts_no_other_process(tmp_path):
    status, said = run("import os; os.fork()", tmp_path)
    assert status != 0
    assert "Error" in said


@pytest.mark.parametrize(
    "call",
    [
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 0)",
        "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "assert not libc.syscall(tgkill, os.getppid(), os.getppid(), 0), ctypes.get_errno()",
    ],
)
def test_k18_a_fenced_program_signals_nobody_else(tmp_path, call):
    tgkill = {"x86_64": 234, "aarch64": 131}[os.uname().machine]
    code = "import ctypes, os, signal; libc = ctypes.CDLL(None, use_errno=True)"
    status, said = run(f"{code}; tgkill = {tgkill}; {call}", tmp_path)
    assert status != 0
    assert "not permitted" in said or f"AssertionError: {errno.EPERM}" in said


@pytest.mark.parametrize("call", ["os.abort()", "os.kill(os.getpid(), 6)"])
def test_a_program_may_end_itself_by_a_signal(tmp_path, call):
    assert run(f"import os; {call}", tmp_path)[0] == -signal.SIGABRT


def test_threads_are_allowed(tmp_path):
    code = "import threading; t = threading.Thread(target=print, args=['hello']); t.start()"
    assert run(code, tmp_path) == (0, "hello\n")


def test_f9_a_file_beyond_its_limit_ends_the_program(tmp_path):
    # Without a Python in between, which would take the signal for an error.
    process = sandbox.start(
        ["dd", "if=/dev/zero", f"of={tmp_path / 'big'}", "bs=4096", "count=1000"],
        folder=tmp_path,
        **LIMITS,
    )
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGXFSZ
    assert (tmp_path / "big").stat().st_size == LIMITS["file_bytes"]


def test_f23_memory_beyond_the_limit_is_refused(tmp_path):
    status, said = run("bytearray(600 << 20)", tmp_path, memory_bytes=400 << 20)
    assert status != 0
    assert "MemoryError" in said


def test_f22_a_program_that_computes_for_ever_is_killed(tmp_path):
    assert run("while True: pass", tmp_path, cpu_s=1)[0] in (-signal.SIGXCPU, -signal.SIGKILL)


def test_k2_a_fenced_program_dies_with_its_parent(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path\n"
        "import sandbox\n"
        f"p = sandbox.start(['sleep', '60'], folder=Path({str(tmp_path)!r}), "
        "memory_bytes=1 << 30, cpu_s=9, file_bytes=0)\n"
        "print(p.pid, flush=True)\n"
        "p.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not is_running(child), "the end of the child", 5)


def test_a_program_is_killed_with_its_whole_group(tmp_path):
    process = sandbox.start(["sleep", "60"], folder=tmp_path, **LIMITS)
    sandbox.kill(process)
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_an_unknown_program_is_told_before_anything_starts(tmp_path):
    with pytest.raises(FileNotFoundError):
        sandbox.command(["no-such-program"], folder=tmp_path, **LIMITS)


def test_a_fenced_program_has_low_priority(tmp_path):
    status, said = run("import os; print(os.nice(0))", tmp_path)
    assert (status, said.strip()) == (0, str(min(19, os.nice(0) + 10)))
