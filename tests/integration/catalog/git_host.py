"""Git repositories for tests, and a host that serves them over HTTP by Git's own CGI program."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from typing_extensions import override

TEXT: Final = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


@dataclass(frozen=True)
class Repository:
    """A repository with a working tree; what is committed is all that is in the tree."""

    path: Path

    @classmethod
    def make(cls, path: Path, files: Mapping[str, str | bytes] | None = None) -> "Repository":
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--initial-branch=main")
        if files is not None:
            repository.commit(files)
        return repository

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", *words),
            cwd=self.path,
            env={"PATH": os.environ["PATH"], **TEXT},
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None removes one, or a directory."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                shutil.rmtree(target) if target.is_dir() else target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commit the tree, with these files written first; return the commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=A change")
        return self.git("rev-parse", "HEAD")


@dataclass
class GitHost:
    """Serves every repository below `root`; what it does otherwise can be set while it runs."""

    root: Path
    token: str | None = None
    redirect_to: str | None = None
    answers: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    fetches: int = 0
    endless: Callable[[bytes], Iterator[bytes] | None] | None = None
    """Gives, for a request's body, an answer that does not end, or None to answer as usual."""

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@contextmanager
def serve(root: Path) -> Iterator[GitHost]:
    """Run a host for as long as the block lasts; it answers at once unless `answers` is cleared."""
    host = GitHost(root)
    host.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.serve(b"")

        def do_POST(self) -> None:
            self.serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def serve(self, body: bytes) -> None:
            host.asked.set()
            host.answers.wait(60)
            given = self.headers.get("Authorization", "")
            if host.redirect_to is not None:
                self.send_response(301)
                self.send_header("Location", f"{host.redirect_to}{self.path}")
                self.end_headers()
            elif host.token is not None and not _has_token(given, host.token):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.end_headers()
            elif host.endless is not None and (answer := host.endless(body)) is not None:
                self.send_response(200)
                kind = "advertisement" if self.command == "GET" else "result"
                self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
                self.end_headers()
                for part in answer:
                    self.wfile.write(part)
            else:
                self.run_git(body)

        def run_git(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            host.fetches += b"command=fetch" in body
            done = subprocess.run(
                ("git", "http-backend"),
                input=body,
                capture_output=True,
                check=False,
                env={
                    "PATH": os.environ["PATH"],
                    **TEXT,
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "safe.directory",
                    "GIT_CONFIG_VALUE_0": "*",
                    "GIT_PROJECT_ROOT": str(host.root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": parts.path,
                    "QUERY_STRING": parts.query,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                },
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if line]
            status = next((value for name, value in headers if name == "Status"), "200 OK")
            self.send_response(int(status.split()[0]))
            for name, value in headers:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        @override
        def handle_error(self, *_: object) -> None:
            """Whoever asked has gone away, as some tests want it."""

    server = Server(("127.0.0.1", 0), Handler)
    host.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _has_token(header: str, token: str) -> bool:
    kind, _, value = header.partition(" ")
    if kind != "Basic":
        return False
    return base64.b64decode(value).decode().partition(":")[2] == token
