"""Sending a checkout's oddsound to a cluster as Ray jobs.

The package travels with the job (`py_modules`), search spaces inside, so that driver and workers run this
code whatever is installed on the nodes. Its dependencies don't travel: they are the nodes' own. Ray is
imported late: its authentication has to be prepared before (oddsound.search.auth).
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import oddsound
from oddsound.errors import ConfigError, SearchError
from oddsound.search.space import spaces_folder

_RUN_OPTIONS = ("--out", "--resume")
_PATH_OPTIONS = (*_RUN_OPTIONS, "--file", "-f", "--cache", "--spaces", "--authors", "--stage")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Job:
    """One entry point of jobs/ by name (search.py: "search") and what it is given."""

    entry: str
    arguments: tuple[str, ...]

    @classmethod
    def of(cls, entry: str, words: Sequence[str]) -> Job:
        """--option=value is taken as two words, so that the rest knows one way of writing it."""
        apart = [word.split("=", 1) if word.startswith("--") else [word] for word in words]
        return cls(entry, tuple(part for parts in apart for part in parts))

    @property
    def command(self) -> str:
        return shlex.join(["python", f"{self.entry}.py", *self.arguments])

    @property
    def run(self) -> str:
        """The run's folder; "" where no option names it."""
        return next((value for name in _RUN_OPTIONS for value in self.given(name)), "")

    def given(self, option: str) -> list[str]:
        """The values of `option`."""
        return [value for name, value in pairwise(self.arguments) if name == option]

    def for_machine(self, machine: str) -> Job:
        """The same for one machine type, in a run of its own below this one's folder."""
        pairs = zip(("", *self.arguments), self.arguments, strict=False)
        return Job(self.entry, tuple(_own(name, value, machine) for name, value in pairs))


def _own(option: str, value: str, machine: str) -> str:
    if option == "--machines":
        return machine
    return str(PurePosixPath(value) / machine) if option in _RUN_OPTIONS else value


def each_machine(job: Job) -> list[Job]:
    """`job` once for each of its --machines. Raises ConfigError where it names none, or no run folder."""
    machines = [name for value in job.given("--machines") for name in value.split(",") if name]
    if not machines or not job.run:
        raise ConfigError("--each-machine: give --machines A,B and --out RUN; A becomes a job with RUN/A")
    return [job.for_machine(machine) for machine in dict.fromkeys(machines)]


def refuse_relative_paths(job: Job) -> None:
    """Raises ConfigError for a path that would mean something else where the job runs: in Ray's folder."""
    paths = [word for word in job.arguments[:1] if not word.startswith("-")]
    paths += [value for name in _PATH_OPTIONS for value in job.given(name)]
    paths += [named.partition("=")[2] for named in job.given("--weights")]
    for path in paths:
        if not PurePosixPath(path).is_absolute():
            raise ConfigError(f"{path}: give the absolute path, of storage that every node sees")


def assemble(folder: Path) -> Path:
    """Copy the package to `folder`/oddsound, with the search spaces in it as the wheel has them."""
    ignored = shutil.ignore_patterns("__pycache__")
    package = folder / "oddsound"
    shutil.copytree(Path(oddsound.__file__).parent, package, ignore=ignored)
    shutil.copytree(spaces_folder(), package / "search_spaces", ignore=ignored, dirs_exist_ok=True)
    return package


def submit(jobs: Sequence[Job], address: str, entries: Path) -> list[str]:
    """Submit `jobs` to the job server at `address` (http://host:port); their files are in `entries`.

    Returns their ids. Raises SearchError where the server can't be reached or refuses.
    """

    def sent(folder: str) -> list[str]:
        environment = {"py_modules": [str(assemble(Path(folder)))], "working_dir": str(entries)}
        return [client.submit_job(entrypoint=job.command, runtime_env=environment) for job in jobs]

    client = _client(address)
    with TemporaryDirectory() as folder:
        return _answer(address, lambda: sent(folder))


def follow(job_id: str, address: str, show: Callable[[str], None]) -> int:
    """Show what the job says until it ends. Returns its exit status."""

    async def logs() -> None:
        async for lines in client.tail_job_logs(job_id):
            show(lines)

    client = _client(address)
    _answer(address, lambda: asyncio.run(logs()))
    info = _answer(address, lambda: client.get_job_info(job_id))
    if info.status == "SUCCEEDED":
        return 0
    if info.driver_exit_code is None:  # it was stopped, or never began
        reason = (info.message or "it says no more").strip().splitlines()[-1]
        raise SearchError(f"Ray job {job_id}: {info.status}: {reason}")
    return int(info.driver_exit_code)


def _client(address: str) -> Any:
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise ConfigError("Ray jobs need Ray's job server: pip install 'oddsound[jobs]'") from error
    logging.getLogger("ray").setLevel(logging.WARNING)  # what it uploads is nothing to the user
    return _answer(address, lambda: JobSubmissionClient(address))


def _answer(address: str, ask: Callable[[], _T]) -> _T:
    """What the job server says; whatever goes wrong there is one line."""
    import aiohttp
    from ray.exceptions import RayError

    try:
        return ask()
    except (RayError, RuntimeError, OSError, aiohttp.ClientError) as error:
        message = str(error).strip().splitlines() or [type(error).__name__]
        raise SearchError(f"Ray's job server at {address}: {message[0]}") from error
