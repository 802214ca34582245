"""Starts one program that may touch nothing but what it was given; ``sandbox`` calls it.

A program of its own, run by ``python -I -S``, because limits, namespaces and rule sets belong to
the process that sets them: they must stand before the limited program is loaded, and setting them
between fork and exec of a threaded parent is not safe. It imports little, to start within
milliseconds.

Arguments: ``PARENT NICE MEMORY CPU FILE FOLDER READABLE... -- PROGRAM ARGUMENT...``: the process
id that must be alive, by how much to lower the priority, bytes of address space, seconds of
processor time, bytes of one file, the folder that may be written (empty: none), files and folders
that may be read. With no program, it prints which of the kernel's fences stand, as ``name=0`` or
``name=1`` lines.

Source: Linux man-pages unshare(2), landlock(7), seccomp(2), capabilities(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import stat
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CLONE_THREAD = 0x00010000
# Files may belong to another user than the one the service runs as; Landlock is the fence there.
KEPT_CAPABILITIES = {1, 2}  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
OPEN_FILES = 512
# Of each thread; libc takes its default from the limit. FFmpeg starts two for every input.
STACK_BYTES = 1 << 20

# What every program needs to start at all.
SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime",
    "/dev/null", "/dev/zero", "/dev/urandom", "/sys/devices/system/cpu",
)  # fmt: skip

# Landlock's access rights, a bit each, and the first version of its interface that knows them.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
KNOWN_BY_VERSION = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

# Machine -> (audit architecture, numbers of the calls that are refused, of clone, of clone3, and of
# those that signal a process by its id: kill and tgkill).
SECCOMP_CALLS = {
    "x86_64": (
        0xC000003E,
        # socket, fork, vfork, ptrace, keyctl, process_vm_readv/writev, bpf, userfaultfd, io_uring,
        # rt_sigqueueinfo, tkill, rt_tgsigqueueinfo, pidfd_send_signal
        (41, 57, 58, 101, 250, 310, 311, 321, 323, 425, 426, 427, 129, 200, 297, 424),
        56,
        435,
        (62, 234),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 117, 219, 270, 271, 280, 282, 425, 426, 427, 138, 130, 240, 424),
        220,
        435,
        (129, 131),
    ),
}

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, *arguments: int) -> bool:
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return _libc.prctl(option, *padded) == 0


def leave_network() -> bool:
    """Move into an empty network namespace; return whether the kernel let us."""
    return _libc.unshare(CLONE_NEWNET) == 0 or _libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0


def drop_capabilities() -> None:
    """Give up every capability but those of KEPT_CAPABILITIES; without any, nothing happens."""
    for capability in set(range(64)) - KEPT_CAPABILITIES:
        _prctl(PR_CAPBSET_DROP, capability)
    kept = sum(1 << capability for capability in KEPT_CAPABILITIES)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    now = (ctypes.c_uint32 * 6)()
    if _libc.capget(header, now) == 0:
        data = (ctypes.c_uint32 * 6)(now[0] & kept, now[1] & kept)
        _libc.capset(header, data)


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def close_files(folder: str, readable: list[str]) -> bool:
    """Leave only ``folder`` writable and ``readable`` visible; return whether Landlock did it."""
    version = _libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    known = sum(bits for since, bits in KNOWN_BY_VERSION.items() if since <= version)
    ruleset = _Ruleset(known, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    fd = _libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if fd < 0:
        return False
    rules = [(path, READ) for path in (*SYSTEM, *readable)]
    rules += [("/dev/null", READ | WRITE_FILE)]
    if folder:
        rules += [(folder, WRITE)]
    for path, rights in rules:
        _allow(fd, path, rights & known)
    done = _libc.syscall(RESTRICT_SELF, fd, 0) == 0
    os.close(fd)
    return done


def _allow(ruleset: int, path: str, rights: int) -> None:
    # What is not there needs no right.
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= OF_FILES
        rule = _PathBeneath(rights, fd)
        _libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
        os.close(fd)


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16), ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8), ("value", ctypes.c_uint32),
    ]  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction))]


def close_calls() -> bool:
    """Refuse sockets, further processes and signals to others from now on.

    Threads may be started, and another program may replace this one. Returns whether seccomp did
    it.
    """
    if os.uname().machine not in SECCOMP_CALLS:
        return False
    architecture, refused, clone, clone3, signals = SECCOMP_CALLS[os.uname().machine]
    load, equal, bits, answer = 0x20, 0x15, 0x45, 0x06
    allow, errno_ = 0x7FFF0000, 0x00050000
    eperm, enosys = errno_ | 1, errno_ | 38
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, eperm), (load, 0, 0, 0)]
    # The x32 calls of a 64-bit kernel are numbered from here.
    lines += [(0x35, 0, 1, 0x40000000), (answer, 0, 0, eperm)]
    for number in refused:
        lines += [(equal, 0, 1, number), (answer, 0, 0, eperm)]
    # clone3 hides its flags from filters; told that it is missing, libc takes clone.
    lines += [(equal, 0, 1, clone3), (answer, 0, 0, enosys)]
    # abort() signals its own process.
    for number in signals:
        lines += [(equal, 0, 4, number), (load, 0, 0, 16), (equal, 1, 0, os.getpid())]
        lines += [(answer, 0, 0, eperm), (answer, 0, 0, allow)]
    lines += [(equal, 0, 3, clone), (load, 0, 0, 16)]
    lines += [(bits, 1, 0, CLONE_THREAD), (answer, 0, 0, eperm), (answer, 0, 0, allow)]
    filter_ = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(lines), filter_)
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))


def limit(memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Set what one process may use: address space, processor time, size of a file."""
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_STACK, STACK_BYTES, STACK_BYTES),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
    ):
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def main(arguments: list[str]) -> None:
    parent, nice, memory, cpu, file, folder, *rest = arguments
    separator = rest.index("--")
    readable, program = rest[:separator], rest[separator + 1 :]

    # Already so when the starter asked for a session.
    with contextlib.suppress(PermissionError):
        os.setsid()
    # os.nice sets nothing where another limit forbids it; the program still runs.
    with contextlib.suppress(OSError):
        os.nice(int(nice))
    os.umask(0o077)
    # Python ignores these, and what is ignored stays so through exec. A program that fills its
    # file to the limit shall die of it, visibly.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    network = leave_network()
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    drop_capabilities()
    limit(int(memory), int(cpu), int(file))
    files = close_files(folder, [*readable, *program[:1]])
    calls = close_calls()
    # After the changes of credentials, which would reset it.
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    if not program:
        print(f"network={network:d}\nfiles={files:d}\ncalls={calls:d}")
        return
    os.execv(program[0], program)  # noqa: S606 -- that is what this program is for


if __name__ == "__main__":
    main(sys.argv[1:])
