"""Ray's token authentication: what has to be right before `import ray`, and whether a cluster has it on.

Whoever reaches a Ray cluster's ports without it runs any code there. This module imports no Ray, so that
the command line can call it first: Ray reads its authentication settings once, when it is imported.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from oddsound.errors import ConfigError
from oddsound.search.address import LOCAL, host_and_port

_MODE = "RAY_AUTH_MODE"
_TOKEN = "RAY_AUTH_TOKEN"
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
_KUBERNETES = "RAY_ENABLE_K8S_TOKEN_AUTH"
"""Set where Ray asks Kubernetes about a pod's own token instead of keeping one."""

_PROBE = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).internal_kv_exists(b"oddsound", timeout=10)
except AuthenticationError:
    sys.exit("refused")
sys.exit("answered")
"""
_PROBE_SECONDS = 60
REFUSED, ANSWERED = "refused", "answered"
"""What the probe says to stderr."""


def prepare_authentication(address: str, insecure: bool) -> str:
    """Make this process ready for the Ray cluster at `address`. Returns a note for the user, or "".

    "local": Ray makes a cluster with a token, and would write a missing one readable by everyone; it
    is written here first. Any other address, "auto" too, is a cluster that others may reach: the token
    is sent, and it is refused to do without one, or to trust a token file that others can read.

    `insecure` lifts that for a cluster without authentication. Nothing is sent then, since such a
    cluster would see the token in the clear, but for a RAY_AUTH_MODE=token that the user set: inside a
    cluster's own pods and jobs it is there, and without it the cluster would refuse them.

    Raises ConfigError.
    """
    mode = os.environ.get(_MODE, "").lower()
    if address == LOCAL:
        return "" if mode == "disabled" else _private_token()
    if not mode:
        mode = os.environ[_MODE] = "disabled" if insecure else "token"
    if mode == "token":
        _require_token(address, check_file=not insecure)
    elif not insecure:
        raise ConfigError(
            f"Ray at {address}: {_MODE}={os.environ[_MODE]} turns authentication off; unset it, or give "
            "--insecure where nobody else reaches that cluster"
        )
    return ""


def refuse_open_cluster(gcs_address: str) -> None:
    """Raises ConfigError unless the cluster at `gcs_address` (host:port) refuses a wrong token.

    A cluster without authentication takes a client that sends a token without a word, so being
    connected says nothing. A process of its own asks, because Ray's token is a process's for good.
    """
    said = ask_with(gcs_address, secrets.token_hex(32))
    if said == REFUSED:
        return
    found = "takes any token" if said == ANSWERED else f"does not say whether it asks for a token ({said})"
    raise ConfigError(
        f"Ray at {gcs_address} {found}: everyone who reaches it runs code there; start it with "
        f"{_MODE}=token on every node, or give --insecure where nobody else reaches it"
    )


def refuse_wrong_token(address: str) -> None:
    """Raises ConfigError where the cluster at `address` doesn't take this user's token: Ray would try for
    half a minute, aloud. Nothing is asked of an address without a port, or where no token is sent."""
    host, _ = host_and_port(address)
    if not host or os.environ.get(_MODE, "").lower() != "token" or ask_with(address, "") != REFUSED:
        return
    raise ConfigError(
        f"Ray at {address}: refuses the token in {find_token().place}; `ray get-auth-token` on its head "
        "prints the right one"
    )


def ask_with(gcs_address: str, token: str, patience_s: float = _PROBE_SECONDS) -> str:
    """What the cluster at `gcs_address` (host:port) says to `token`, "" for this user's own: REFUSED,
    ANSWERED, or something else where it isn't clear."""
    environment = dict(os.environ)
    if token:
        for name in (_TOKEN_PATH, _KUBERNETES):
            environment.pop(name, None)
        environment[_TOKEN] = token
    asked = [sys.executable, "-c", _PROBE, gcs_address]
    try:
        ended = subprocess.run(
            asked, env=environment | {_MODE: "token"}, capture_output=True, text=True, timeout=patience_s
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {patience_s:g} s"
    return "".join(ended.stderr.strip().splitlines()[-1:])


@dataclass(frozen=True)
class Token:
    """Ray's token as it lies here. `mode`: RAY_AUTH_MODE; `place`: what holds it, "" where nothing does."""

    mode: str
    place: str
    exposed: bool
    """Whether group or others may read it."""


def find_token() -> Token:
    """Where Ray would take its token from; nothing is changed. Raises ConfigError for a file that is named
    and holds none."""
    mode = os.environ.get(_MODE, "").lower()
    if os.environ.get(_TOKEN):
        return Token(mode, _TOKEN, False)
    if _on_kubernetes():
        return Token(mode, _KUBERNETES, False)
    file = _named_file() or _default_file()
    if not _holds_token(file):
        return Token(mode, "", False)
    return Token(mode, str(file), _readable_by_others(file))


def _private_token() -> str:
    """See that a local cluster finds a token that only this user can read. Returns a note, or ""."""
    default = _default_file()
    if os.environ.get(_TOKEN) or _named_file() or _on_kubernetes():
        return ""
    try:
        if not _holds_token(default):
            _write_token(default)
        elif _readable_by_others(default):
            default.chmod(0o600)
            return f"{default}: others could read Ray's token; its mode is 600 now"
    except OSError:
        pass  # a home that can't be written: Ray says so itself, or finds what is there
    return ""


def _write_token(file: Path) -> None:
    """Write a new token, whole or not at all, and never over one that another process wrote meanwhile."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        new = Path(folder) / file.name
        new.touch(mode=0o600)
        new.write_text(secrets.token_hex(32))
        if file.is_file() and not _holds_token(file):
            new.replace(file)
        else:
            file.hardlink_to(new)


def _require_token(address: str, check_file: bool) -> None:
    """Raises ConfigError where Ray would find no token, or one in a file that others can read."""
    if os.environ.get(_TOKEN) or _on_kubernetes():
        return
    file = _named_file() or _default_file()
    if not _holds_token(file):
        raise ConfigError(
            f"Ray at {address}: no token in {_TOKEN}, {_TOKEN_PATH} or {file}; copy the cluster's there "
            "(`ray get-auth-token` on its head prints it) with mode 600, or give --insecure where the "
            "cluster has none"
        )
    if check_file and _readable_by_others(file):
        raise ConfigError(f"{file}: others can read the token of Ray at {address}; chmod 600 {file}")


def _named_file() -> Path | None:
    """The file of RAY_AUTH_TOKEN_PATH. Raises ConfigError where it holds nothing: Ray would abort."""
    named = os.environ.get(_TOKEN_PATH)
    if not named:
        return None
    if not _holds_token(Path(named)):
        raise ConfigError(f"{_TOKEN_PATH}={named}: holds no token; name a file with the cluster's")
    return Path(named)


def _holds_token(file: Path) -> bool:
    """Ray takes an empty file for none."""
    try:
        return bool(file.read_bytes().strip())
    except OSError:
        return False


def _default_file() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _on_kubernetes() -> bool:
    return os.environ.get(_KUBERNETES, "").lower() in ("true", "1")


def _readable_by_others(file: Path) -> bool:
    """Whether group or others may read `file`. Not asked of a read-only mount, such as a Kubernetes
    Secret: the mode there is the mount's, and nobody in the container can change it."""
    mounted_read_only = os.statvfs(file).f_flag & os.ST_RDONLY
    return bool(file.stat().st_mode & 0o044) and not mounted_read_only
