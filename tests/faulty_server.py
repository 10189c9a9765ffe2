"""A real proxy on loopback that passes requests on to a server, or does to them what networks do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MODES = ("pass", "slow", "hang", "half", "html", "json", "retry-after", "401", "403", "404", "500", "503")
"""`hang` takes a request and never answers; `half` passes it on and sends half of the answer and no more;
`slow` answers after a tenth of a second; `html` and `json` are somebody else's pages; a number is an HTTP
status, and `retry-after` is 503 with the wish to be left alone for an hour."""
_SLOW_S = 0.1
_READS = ("runs/search", "experiments/search", "registered-models/search", "model-versions/search")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    mode: str
    """What was done to it."""

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD") and not self.path.endswith(_READS)


@dataclass
class FaultyServer:
    """`uri` is its address. `mode` holds for requests that `only` admits; all others pass."""

    uri: str
    target: str
    mode: str = "pass"
    only: Callable[[Request], bool] = lambda request: True
    requests: list[Request] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def switch(self, mode: str, only: Callable[[Request], bool] = lambda request: True) -> None:
        """From now on; whoever hangs is hung up on."""
        assert mode in MODES
        with self._changed:
            self.mode, self.only = mode, only
            self._changed.notify_all()

    def written(self) -> list[Request]:
        return [request for request in self.requests if request.writes]

    def of(self, method: str, path: str) -> Request:
        """The request as it is to be treated; it is remembered."""
        request = Request(method, path, self.mode)
        if not self.only(request):
            request = Request(method, path, "pass")
        self.requests.append(request)
        return request

    def hold(self, mode: str) -> None:
        """Wait until the mode is another."""
        with self._changed:
            self._changed.wait_for(lambda: self.mode != mode)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyServer

    def _any(self) -> None:
        body = self._body()
        request = self.faulty.of(self.command, urlsplit(self.path).path)
        if request.mode in ("pass", "slow", "half"):
            self._pass_on(request.mode, body)
        elif request.mode == "hang":
            self.faulty.hold("hang")
            self.close_connection = True
        else:
            self._refuse(request.mode)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _pass_on(self, mode: str, body: bytes) -> None:
        try:
            status, kind, answer = self._ask(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # nobody is there: hang up
            return
        if mode == "slow":
            with self.faulty._changed:
                self.faulty._changed.wait(_SLOW_S)
        self._answer(status, kind, answer, half=mode == "half")

    def _ask(self, body: bytes) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.faulty.target).netloc, timeout=60)
        with contextlib.closing(connection):
            headers = {k: v for k, v in self.headers.items() if k not in ("Host", "Transfer-Encoding")}
            connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()

    def _refuse(self, mode: str) -> None:
        status = {"html": 200, "json": 200, "retry-after": 503}.get(mode) or int(mode)
        kind = "application/json" if mode == "json" else "text/html"
        text = '{"status": "ok"}' if mode == "json" else f"<html><h1>{mode}</h1></html>"
        self._answer(status, kind, text.encode(), wait=mode == "retry-after")

    def _answer(self, status: int, kind: str, answer: bytes, half: bool = False, wait: bool = False) -> None:
        with contextlib.suppress(OSError):  # whoever asked may have gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            if wait:
                self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(answer[: len(answer) // 2] if half else answer)
        if half:
            self.faulty.hold("half")
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None: ...


@contextlib.contextmanager
def faulty_server(target: str) -> Iterator[FaultyServer]:
    """A proxy of a free port of 127.0.0.1 in front of `target` until the block ends."""

    class Handler(_Handler):
        pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.faulty = FaultyServer(f"http://127.0.0.1:{server.server_address[1]}", target)
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Handler.faulty
        finally:
            Handler.faulty.switch("pass")
            server.shutdown()
            thread.join()
