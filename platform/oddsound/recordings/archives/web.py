"""HTTP for large files: what may be tried again, after how long, and what may not."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from oddsound import __version__
from oddsound.errors import DownloadError
from oddsound.recordings.names import shown

T = TypeVar("T")
Say = Callable[[str], None]
"""Is told an event in one line."""

# Hosts slow down or refuse programs that don't say which they are.
_AGENT = f"oddsound/{__version__} (fetches DCASE Task 2 archives)"
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_ENOUGH = 2**20
"""Bytes that are well beyond."""


class Fault(Exception):
    """Something that may be over at the next try. `wait_s`: how long the server wishes to be left alone."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Patience:
    """How often something is tried, and the pauses in s: they double, up to a cap, and half of each is by
    lot, so that many clients don't come back at once."""

    tries: int = 5
    first_s: float = 1.0
    longest_s: float = 30.0
    longest_wish_s: float = 300.0
    """What a server asks for is granted up to here."""
    timeout_s: tuple[float, float] = (15.0, 60.0)
    """For a connection, and between two pieces of an answer."""
    sleep: Callable[[float], None] = time.sleep
    lot: Callable[[], float] = random.random

    def pause_s(self, failures: int, wish_s: float | None) -> float:
        if wish_s is not None:
            return min(wish_s, self.longest_wish_s)
        pause = min(self.longest_s, self.first_s * 2.0 ** (failures - 1))
        return pause * (1 + self.lot()) / 2


def _session() -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": _AGENT, "Accept-Encoding": "identity"})
    session.max_redirects = 5
    return session


@dataclass
class Web:
    """Asks with patience. Proxies, certificates and ~/.netrc are what `requests` finds in the environment."""

    patience: Patience = Patience()
    say: Say = lambda _line: None
    session: requests.Session = field(default_factory=_session)

    @contextmanager
    def answer(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
        """The server's answer to GET, its body still to be read, with status 200, 206 or 416.

        Raises Fault for what may be over at the next try, also where that comes up while the block reads;
        DownloadError for the rest.
        """
        answer = self._asked(url, headers)
        try:
            with answer:
                _require_answer(url, answer)
                yield answer
        except (requests.RequestException, HTTPError) as error:
            raise _named(url, error) from error

    def _asked(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        """ValueErrors too: neither requests nor urllib3 puts a name to an address, a server's redirect among
        them, that can't be parsed or decoded."""
        try:
            return self.session.get(url, headers=headers, stream=True, timeout=self.patience.timeout_s)
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise _named(url, error) from error

    def patiently(self, what: str, attempt: Callable[[], T], reached: Callable[[], int] = lambda: 0) -> T:
        """What `attempt` gives, tried again after each Fault. `reached`: how many bytes are there.

        Raises DownloadError where the last try of `Patience.tries` in succession fails too. Tries are counted
        anew where one came well beyond all before it, so that a long file over a bad line comes at last.
        """
        failures, furthest = 0, reached()
        while True:
            try:
                return attempt()
            except Fault as fault:
                failures += 1
                if (now := reached()) >= furthest + _ENOUGH:
                    failures, furthest = 1, now
                if failures >= self.patience.tries:
                    kept = "what has come is kept: the same command goes on from there"
                    remedy = kept if now else "try later, or another --source"
                    raise DownloadError(
                        f"{what}: {fault}, {failures} times in succession; {remedy}"
                    ) from fault
                pause = self.patience.pause_s(failures, fault.wait_s)
                self.say(f"{what}: {fault}; again in {pause:.0f} s")
                self.patience.sleep(pause)


def _require_answer(url: str, answer: requests.Response) -> None:
    if urlsplit(url).scheme == "https" != urlsplit(answer.url).scheme:
        raise DownloadError(
            f"{shown(url)}: leads to {shown(answer.url)}, which isn't https; use another --source"
        )
    if answer.status_code in _TRY_AGAIN:
        raise Fault(f"the server answers {_status(answer)}", _wish_s(answer))
    if answer.status_code not in (200, 206, 416):
        raise DownloadError(
            f"{shown(url)}: the server answers {_status(answer)}; see whether --source is right and the "
            "record is still there"
        )


def _status(answer: requests.Response) -> str:
    return shown(f"{answer.status_code} {answer.reason or ''}".strip()[:80])


def _wish_s(answer: requests.Response) -> float | None:
    wish = answer.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(wish) if wish else None
    except InvalidHeader:
        return None


def _named(url: str, error: requests.RequestException | HTTPError | ValueError) -> Exception:
    """A Fault where another try may help, otherwise a DownloadError."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return DownloadError(
            f"{shown(url)}: its certificate isn't trusted here; REQUESTS_CA_BUNDLE names your network's"
        )
    if isinstance(error, requests.Timeout):
        return Fault("no answer in time")
    if isinstance(
        error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    ):
        return Fault("the connection broke off")
    if isinstance(error, requests.ConnectionError):
        return Fault(f"no connection ({_root(error)})")
    return DownloadError(f"{shown(url)}: {_root(error)}; see whether --source is right")


def _root(error: BaseException) -> str:
    """The innermost reason: requests and urllib3 wrap it up in each other."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(" ".join(str(said).split())[:200])
