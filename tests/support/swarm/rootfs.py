"""A Debian-like root file system with Python, made from this machine's own packages: there is no registry to ask.

What `docker import` takes: a tar of Debian's `python3` and busybox with the libraries that they need. It stands in for
`python:3-slim`, which is what a user would build from.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

from support.swarm.commands import run

PYTHON = Path("/usr/bin/python3").resolve()
_LIBRARY = Path("/usr/lib") / PYTHON.name
_LEFT_OUT = re.compile(r"/(test|tests|idlelib|lib2to3|tkinter|turtledemo|pydoc_data|config-3[^/]*)(/|$)|\.opt-\d\.pyc$")
_NO_MODULE = re.compile(r"_tkinter|_dbm|_gdbm|_test|xxlimited|_curses")
_SHELL = (
    "du cut tr printf sleep "
    "sh ls cat cp mv rm mkdir rmdir ln ps kill sleep env hostname id head tail grep sed awk date test true false touch "
    "chmod chown mktemp sort wc tee wget nslookup find xargs stat dirname basename readlink uname"
)
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


class _Tree:
    """Writes a tar with parents filled in; `/bin`, `/lib`, … are links into `/usr`, as in Debian."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115  # closed by `close`
        self._done: set[str] = set()

    def close(self) -> None:
        self._tar.close()

    def folder(self, name: str, mode: int = 0o755) -> None:
        if name in {"", "/"} or name in self._done:
            return
        self.folder(str(Path(name).parent))
        self._add(name, mode, tarfile.DIRTYPE)

    def link(self, name: str, target: str) -> None:
        if name not in self._done:
            self.folder(str(Path(name).parent))
            self._add(name, 0o777, tarfile.SYMTYPE, link=target)

    def data(self, name: str, data: bytes, mode: int = 0o644, mtime: int = 1) -> None:
        if name not in self._done:
            self.folder(str(Path(name).parent))
            self._add(name, mode, tarfile.REGTYPE, data=data, mtime=mtime)

    def file(self, source: Path, name: str | None = None) -> None:
        found = source.stat()
        mode, mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
        self.data(name or re.sub(r"^/(lib\w*)/", r"/usr/\1/", str(source)), source.read_bytes(), mode, mtime)

    def programs(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.file(path)
            for library in re.findall(r"(/[^\s()]+) \(0x", run("ldd", path, check=False)):
                self.file(Path(library))

    def _add(self, name: str, mode: int, kind: bytes, *, data: bytes = b"", link: str = "", mtime: int = 1) -> None:
        self._done.add(name)
        info = tarfile.TarInfo(name.lstrip("/"))
        info.mode, info.type, info.mtime, info.size, info.linkname = mode, kind, mtime, len(data), link
        self._tar.addfile(info, io.BytesIO(data))


def write(path: Path) -> None:
    """Writes the tar."""
    tree = _Tree(path)
    for name in ("bin", "sbin", "lib", "lib64"):
        tree.folder(f"/usr/{name}")
        tree.link(f"/{name}", f"usr/{name}")
    for name in ("/etc", "/proc", "/sys", "/dev", "/run", "/var/lib", "/var/log", "/root", "/home", "/opt"):
        tree.folder(name)
    tree.folder("/tmp", 0o1777)
    tree.folder("/var/tmp", 0o1777)
    tree.data("/etc/passwd", _PASSWD.encode())
    tree.data("/etc/group", _GROUP.encode())
    tree.data("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    tree.file(Path("/bin/busybox"), "/usr/bin/busybox")
    for name in _SHELL.split():
        tree.link(f"/usr/bin/{name}", "busybox")
    tree.programs([PYTHON])
    tree.link("/usr/bin/python3", PYTHON.name)
    # Of the C library's package, or of libgcc-s1 on which it depends, so that every Debian has them; programs from
    # wheels want them.
    for name in (
        "libdl.so.2", "librt.so.1", "libpthread.so.0", "libm.so.6", "libresolv.so.2", "libutil.so.1", "libgcc_s.so.1",
    ):  # fmt: skip
        [found] = Path("/usr/lib").glob(f"*-linux-gnu*/{name}")
        tree.file(found)
    modules = []
    for source in sorted(_LIBRARY.rglob("*")):
        if source.is_file() and not _LEFT_OUT.search(str(source)):
            if source.suffix == ".so":
                modules += [] if _NO_MODULE.search(source.name) else [source]
            else:
                tree.file(source)
    tree.programs(modules)
    tree.close()
