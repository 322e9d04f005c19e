"""A local HTTP server with the hub's endpoints for pulling, and with injected faults."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

INFO = re.compile(r"/api/models/([^/]+/[^/]+)/revision/([^/?]+)")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)")
STORED = re.compile(r"/lfs/([0-9a-f]{64})")


@dataclass
class Refusal:
    """An error response: its status, and the headers in which the hub gives the reason."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Repo:
    """A repository's commits and branches, and its injected faults."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    lfs: tuple[str, ...] = (".safetensors", ".bin")
    # The bytes sent in a file's place, and the size listed for it.
    sent: dict[str, bytes] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    # Numbers of bytes after which the connection is cut; each is used once.
    cuts: dict[str, list[int]] = field(default_factory=dict)
    info_refusal: Refusal | None = None
    file_refusals: dict[str, Refusal] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Add a commit, point a branch to it, and return its id."""
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()  # noqa: S324
        self.commits[sha], self.branches[branch] = files, sha
        return sha


@dataclass
class FileRequest:
    """A request for a file."""

    path: str
    range: str | None


class LocalHub:
    """The hub's repositories, and the requests that it received."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.repos: dict[str, Repo] = {}
        self.infos: list[str] = []
        self.files: list[FileRequest] = []
        # Host and credentials of each request: the hub by its address, its file store by name.
        self.credentials: set[tuple[str, str | None]] = set()
        # Set while a file is stalled after its first byte.
        self.stalled = threading.Event()
        self.stall: str | None = None
        self.over = threading.Event()

    def paths(self) -> list[str]:
        """Return the sorted paths of the requested files, and forget them."""
        paths = sorted(request.path for request in self.files)
        self.files.clear()
        return paths


@contextmanager
def run_hub() -> Iterator[LocalHub]:
    """Serve until the block ends."""

    class Handler(_Handler):
        hub: LocalHub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.hub = LocalHub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Handler.hub
    finally:
        Handler.hub.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        host = self.headers["host"].partition(":")[0]
        self.hub.credentials.add((host, self.headers["authorization"]))
        if found := INFO.fullmatch(path):
            self._info(found[1], found[2])
        elif found := RESOLVE.fullmatch(path):
            self._resolve(found[1], found[2], found[3])
        elif found := STORED.fullmatch(path):
            self._stored(found[1])
        else:
            self._answer(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _info(self, name: str, revision: str) -> None:
        self.hub.infos.append(f"{name}@{revision}")
        repo = self.hub.repos.get(name)
        if repo is None:
            self._refuse(Refusal(404, {"X-Error-Code": "RepoNotFound"}))
        elif repo.info_refusal:
            self._refuse(repo.info_refusal)
        elif (sha := repo.branches.get(revision, revision)) not in repo.commits:
            self._refuse(Refusal(404, {"X-Error-Code": "RevisionNotFound"}))
        else:
            files = repo.commits[sha]
            siblings = [_sibling(repo, path, content) for path, content in files.items()]
            body = {"id": name, "modelId": name, "sha": sha, "siblings": siblings}
            self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, sha: str, path: str) -> None:
        repo = self.hub.repos[name]
        self.hub.files.append(FileRequest(path, self.headers["range"]))
        if refusal := repo.file_refusals.get(path):
            self._refuse(refusal)
        elif path.endswith(repo.lfs):
            content = repo.commits[sha][path]
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
            self._answer(302, b"", {"Location": f"{elsewhere}/lfs/{_sha256(content)}"})
        else:
            self._send(repo, path, repo.commits[sha][path])

    def _stored(self, digest: str) -> None:
        for repo in self.hub.repos.values():
            for files in repo.commits.values():
                for path, content in files.items():
                    if _sha256(content) == digest:
                        self._send(repo, path, content)
                        return
        self._answer(404)

    def _send(self, repo: Repo, path: str, content: bytes) -> None:
        content = repo.sent.get(path, content)
        start = int((self.headers["range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if self.headers["range"] else 200)
        if self.headers["range"]:
            total = len(content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cuts = repo.cuts.get(path, [])
        if cuts:
            self.wfile.write(content[start : start + cuts.pop(0)])
            self.close_connection = True
        elif self.hub.stall == path:
            self.wfile.write(content[start:-1])
            self.hub.stalled.set()
            self.hub.over.wait()
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def _refuse(self, refusal: Refusal) -> None:
        self._answer(refusal.status, b"", refusal.headers)

    def _answer(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _sibling(repo: Repo, path: str, content: bytes) -> dict[str, Any]:
    size = repo.claimed.get(path, len(content))
    blob = f"blob {len(content)}\0".encode() + content
    listed: dict[str, Any] = {
        "rfilename": path,
        "size": size,
        "blobId": hashlib.sha1(blob).hexdigest(),  # noqa: S324
    }
    if path.endswith(repo.lfs):
        listed["lfs"] = {"sha256": _sha256(content), "size": size, "pointerSize": 134}
    return listed


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
