"""A room of a build's own, made of Linux namespaces: its own network, files, processes, users.

In the room there is a file system of the system's programs, which cannot be written, and the
build's home; no process but the build's own; and no network at all but two sockets, on which the
runner listens from outside: the state, and a way out to where the runner lets it. When the first
process of the room ends, the kernel ends all others with it, wherever they hid.

Root makes the room with its own rights, and the program in it runs as a user of the build's own.
Anybody else makes it within a user namespace, where the kernel lets them.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Never

STATE_PORT: Final = 7_071
WAY_OUT_PORT: Final = 7_072
SYSTEM_FOLDERS: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc",
)  # fmt: skip
DEVICES: Final = ("null", "zero", "full", "random", "urandom")
SHARED_MEMORY: Final = b"size=64m,mode=1777"
BACKLOG: Final = 128
OUTSIDE: Final = str(Path(__file__).with_name("outside.py"))
REASON_BYTES_MAX: Final = 500

_CLONE_NEWNS: Final = 0x0002_0000
_CLONE_NEWIPC: Final = 0x0800_0000
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWPID: Final = 0x2000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_NOEXEC: Final = 8
_MS_BIND: Final = 4_096
_MS_REC: Final = 16_384
_MS_PRIVATE: Final = 1 << 18
_MNT_DETACH: Final = 2
_SYS_MOUNT_SETATTR: Final = 442
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_ATTR_RDONLY: Final = 0x1
_ATTR_NOSUID: Final = 0x2
_ATTR_NODEV: Final = 0x4
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Room:
    """What of this machine a build sees.

    `home` is its own, at the same path as outside. `readable` are the files and folders that it
    may read besides the system's. `temporary` is its `/tmp`, new for each program: what is mounted
    below must not go by what a module left there. `mount_point` is out of its reach, and empty.
    """

    home: Path
    temporary: Path
    readable: tuple[Path, ...]
    mount_point: Path
    uid: int | None


@dataclass(frozen=True)
class Listeners:
    """Two sockets that a room's processes can connect to; the runner answers on them."""

    state: socket.socket
    way_out: socket.socket


def enter(room: Room, doors: socket.socket, runner: int, confine: Callable[[], None]) -> None:
    """In a child process, before its program: go into a room, and send out its two listeners.

    Who returns from this is another process, the first one of the room; the child itself stays
    outside, hands SIGINT on, and ends as its own child ends. `confine` is called within, at last.
    `OSError` where the kernel makes no room; why is told through `doors` too.
    """
    try:
        _enter(room, doors, runner)
        confine()
    except Exception as error:
        doors.send(f"{error}".encode()[:REASON_BYTES_MAX])
        raise


def doors_of_a_room() -> tuple[socket.socket, socket.socket]:
    """Return what a room is told of by, and the child's end of it."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


def receive_listeners(doors: socket.socket) -> Listeners:
    """Return the listeners that a room has sent; `OSError` with its reason where there is none."""
    said, descriptors, _, _ = socket.recv_fds(doors, REASON_BYTES_MAX, 2, socket.MSG_DONTWAIT)
    if len(descriptors) != 2:  # noqa: PLR2004 - the state's and the way out's
        raise OSError(said.decode(errors="replace"))
    state, way_out = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    return Listeners(state, way_out)


def reason_in(doors: socket.socket) -> str:
    """Return why no program could be started in a room."""
    said = "the program could not be started"
    try:
        while True:
            said = doors.recv(REASON_BYTES_MAX, socket.MSG_DONTWAIT).decode(errors="replace")
    except BlockingIOError:
        return said


def _enter(room: Room, doors: socket.socket, runner: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWIPC
    _check(_LIBC.unshare(flags | (0 if uid == 0 else _CLONE_NEWUSER)), "unshare")
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _bring_loopback_up()
    _hand_out_listeners(doors)
    leave_one_outside(runner)
    Path("/proc/self/oom_score_adj").write_text("1000")
    _furnish(room)
    if room.uid is not None:
        os.setgroups([])
        os.setresgid(room.uid, room.uid, room.uid)
        os.setresuid(room.uid, room.uid, room.uid)
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    # What ends the one outside must reach the program too; its parent has no number in here.
    _check(_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0), "prctl")


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _hand_out_listeners(doors: socket.socket) -> None:
    """Listen within; the room's network is new, so that nobody else has these ports."""
    listeners = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(2)]
    for listener, port in zip(listeners, (STATE_PORT, WAY_OUT_PORT), strict=True):
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    socket.send_fds(doors, [b"."], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()


def leave_one_outside(runner: int) -> None:
    """Return in a child of this process, which itself becomes what waits for that child.

    It interrupts the child once when the runner dies. The kernel would do so itself, but again for
    each thread that the runner had, and a second interrupt makes Terraform give its state up.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGCHLD))
    child = os.fork()
    if child != 0:
        _stand_outside(child, runner)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _stand_outside(child: int, runner: int) -> Never:
    """Become what waits for the child, in a program of its own with one thread."""
    try:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != runner:
            os.kill(child, signal.SIGKILL)
        os.closerange(0, os.sysconf("SC_OPEN_MAX"))
        os.execve(sys.executable, [sys.executable, "-I", "-S", OUTSIDE, str(child)], {})  # noqa: S606 - our own
    finally:
        os._exit(1)


def _furnish(room: Room) -> None:
    """Make the room's files, and leave all others behind."""
    root = room.mount_point
    mask = os.umask(0o022)
    # Of its own, and not of the one who stands outside: what follows moves the root of all in it.
    _check(_LIBC.unshare(_CLONE_NEWNS), "unshare of mounts")
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, b"size=4m,mode=0755")
    read_only: list[Path] = []
    for name in SYSTEM_FOLDERS:
        folder = Path(name)
        if folder.is_symlink():
            _within(root, folder).symlink_to(folder.readlink())
        elif folder.is_dir():
            read_only.append(_bind(root, folder))
    (root / "tmp").mkdir()
    _mount(str(room.temporary), root / "tmp", None, _MS_BIND)
    (root / "var").mkdir()
    (root / "var" / "tmp").symlink_to("/tmp")  # noqa: S108 - the room's own
    extra = (p for p in room.readable if not any(p.is_relative_to(s) for s in SYSTEM_FOLDERS))
    read_only += [_bind(root, path) for path in extra]
    home = _bind(root, room.home)
    _furnish_devices(root)
    (root / "proc").mkdir()
    _mount("proc", root / "proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    for path in read_only:
        _set_attributes(path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for path in (home, root / "tmp"):
        _set_attributes(path, _ATTR_NOSUID | _ATTR_NODEV)
    cwd = Path.cwd()
    os.chdir(root)
    _check(_LIBC.pivot_root(b".", b"."), "pivot_root")
    _check(_LIBC.umount2(b".", _MNT_DETACH), "umount")
    _set_attributes(Path("/"), _ATTR_RDONLY, flags=0)
    os.chdir(cwd)
    os.umask(mask)


def _furnish_devices(root: Path) -> None:
    devices = root / "dev"
    devices.mkdir()
    for name in DEVICES:
        _bind(root, Path("/dev") / name)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        (devices / name).symlink_to(target)
    (devices / "shm").mkdir()
    _mount("tmpfs", devices / "shm", "tmpfs", _MS_NOSUID | _MS_NODEV, SHARED_MEMORY)


def _within(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _bind(root: Path, path: Path) -> Path:
    """Show a file or folder in the room, at its own path; return where that is for now."""
    target = _within(root, path)
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(str(path), target, None, _MS_BIND | _MS_REC)
    return target


def _mount(
    source: str | None, target: Path, kind: str | None, flags: int, data: bytes | None = None
) -> None:
    status = _LIBC.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        data,
    )
    _check(status, f"mount {target}")


def _set_attributes(path: Path, attributes: int, flags: int = _AT_RECURSIVE) -> None:
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    status = _LIBC.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(path),
        ctypes.c_uint(flags),
        wanted,
        ctypes.c_size_t(len(wanted)),
    )
    _check(status, f"mount_setattr {path}")


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
