"""A real server on loopback that lists and serves archives as the challenge's host does, or as hosts fail."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

FAULTS = (
    "half",
    "half-chunked",
    "no-range",
    "wrong-range",
    "long",
    "short",
    "endless",
    "gzip",
    "hang",
    "hold",
    "redirect",
    "astray",
    "first-206",
    "retry-after",
    "416",
    "404",
    "429",
    "500",
    "503",
)
"""`half`: half of what was asked for, then the connection is closed; `half-chunked`: the same without a
length; `no-range`: the whole file whatever was asked; `wrong-range`: 206 for the bytes one further;
`long`, `short`: 13 bytes more or fewer than the listing says, and a length to match; `endless`: no length
and no end; `gzip`: packed on the way, as some proxies do; `hang`: no answer; `hold`: half, and then
nothing; `astray`: a redirect to what `location` says; `first-206`: 206 for the whole file that was asked
for; `retry-after`: 429 with a wish; a number: that status."""


@dataclass(frozen=True)
class Asked:
    path: str
    range: str
    if_range: str
    agent: str


@dataclass
class ArchiveServer:
    """`records`: the content of each file by record and name. `faults`: what happens to the next requests
    for a file (or for a record's listing, by its number), one each; "" is none."""

    uri: str = ""
    records: dict[int, dict[str, bytes]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    listed: dict[str, dict[str, object]] = field(default_factory=dict)
    """What the listing says of a file other than the truth: key, size, checksum, links."""
    listing: bytes | None = None
    """What the server says instead of any listing."""
    etags: bool = True
    retry_after: str = "7"
    location: str = ""
    redirect_to: str = ""
    """The host that `redirect` sends to, this one where empty."""
    asked: list[Asked] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    """Set once a client was given the half of `hold`."""
    released: threading.Event = field(default_factory=threading.Event)

    def of(self, key: str) -> list[Asked]:
        """The requests for this file's content."""
        return [asked for asked in self.asked if asked.path.endswith(f"/files/{quote(key)}/content")]

    def fault(self, name: str) -> str:
        waiting = self.faults.get(name, [])
        return waiting.pop(0) if waiting else ""

    def listing_of(self, record: int) -> bytes:
        files = [self._file(record, key, content) for key, content in self.records[record].items()]
        return json.dumps({"id": record, "files": files}).encode()

    def _file(self, record: int, key: str, content: bytes) -> dict[str, object]:
        link = f"{self.uri}/api/records/{record}/files/{quote(key)}/content"
        truth = {
            "key": key,
            "size": len(content),
            "checksum": "md5:" + hashlib.md5(content).hexdigest(),
            "links": {"self": link},
        }
        return truth | self.listed.get(key, {})


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ArchiveServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        headers = (self.headers.get(name, "") for name in ("Range", "If-Range", "User-Agent"))
        self.server_of.asked.append(Asked(path, *headers))
        match = re.fullmatch(r"/api/records/(\d+)(?:/files/([^/]+)/content)?(/moved)?", path)
        with contextlib.suppress(OSError):  # whoever asked may have gone
            if match is None or int(match[1]) not in self.server_of.records:
                self._status("404")
            elif match[2] is None:
                self._listing(int(match[1]))
            else:
                self._file(int(match[1]), unquote(match[2]), moved=bool(match[3]))

    def _listing(self, record: int) -> None:
        if fault := self.server_of.fault(str(record)):
            return self._status(fault)
        content = self.server_of.listing
        return self._send(200, self.server_of.listing_of(record) if content is None else content)

    def _file(self, record: int, key: str, moved: bool) -> None:
        content = self.server_of.records[record][key]
        fault = "" if moved else self.server_of.fault(key)
        if fault in ("404", "416", "429", "500", "503", "retry-after", "hang", "redirect", "astray"):
            return self._status(fault)
        etag = f'"{hashlib.md5(content).hexdigest()}"' if self.server_of.etags else ""
        begin = 0 if fault == "no-range" else self._begin(etag)
        if begin >= len(content):
            return self._status("416")
        headers = {"ETag": etag} if etag else {}
        if begin:
            said = begin + 1 if fault == "wrong-range" else begin
            headers["Content-Range"] = f"bytes {said}-{len(content) - 1}/{len(content)}"
        return self._send(206 if begin or fault == "first-206" else 200, content[begin:], headers, fault)

    def _begin(self, etag: str) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", "")
        return int(match[1]) if match and condition in ("", etag) else 0

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, fault: str = ""
    ) -> None:
        if fault == "long":
            content += bytes(13)
        elif fault == "short":
            content = content[:-13]
        elif fault == "gzip":
            content, headers = gzip.compress(content), (headers or {}) | {"Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if fault in ("half-chunked", "endless"):
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(
            content[: len(content) // 2] if fault in ("half", "half-chunked", "hold") else content
        )
        while fault == "endless":
            self.wfile.write(bytes(4096))
        if fault == "hold":
            self.wfile.flush()
            self.server_of.held.set()
            self.server_of.released.wait()
        if fault:
            self.close_connection = True

    def _status(self, fault: str) -> None:
        if fault == "hang":
            self.server_of.released.wait()
            self.close_connection = True
            return
        self.send_response({"redirect": 302, "astray": 302, "retry-after": 429}.get(fault) or int(fault))
        if fault == "redirect":
            self.send_header("Location", f"{self.server_of.redirect_to}{self.path}/moved")
        if fault == "astray":
            self.send_header("Location", self.server_of.location)
        if fault == "retry-after":
            self.send_header("Retry-After", self.server_of.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@contextlib.contextmanager
def archive_server(certificate: Path | None = None) -> Iterator[ArchiveServer]:
    """A server on a free port of 127.0.0.1 until the block ends; `certificate`: with its key, for https."""
    state = ArchiveServer()

    class Handler(_Handler):
        server_of = state

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "https" if certificate else "http"
        state.uri = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield state
        finally:
            state.released.set()
            server.shutdown()
            thread.join()
