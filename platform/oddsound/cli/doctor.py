"""`oddsound doctor`: is this machine ready for a search?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oddsound.cli.talking import talk, typed

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from oddsound.cli.checks._base import Check, Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Recordings to count by their names.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="A run's folder, also one to come.  [default: here]"
)
@click.option("--tracking-uri", help="An MLflow that is to answer.  [default: RUN's, where it has one]")
@click.option("--ray-address", default="local", show_default=True, help="HOST:PORT of a running Ray cluster.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
def doctor(
    data: Path | None, run: Path | None, tracking_uri: str | None, ray_address: str, as_json: bool
) -> None:
    """Is this machine ready? Looks at packages, GPUs, memory, disks, ports, Ray's token, and what is given.

    \b
    Examples:
      oddsound doctor
      oddsound doctor --data data/dcase2021 --run runs/first
      oddsound doctor --ray-address HOST:PORT --tracking-uri http://127.0.0.1:5000 --json

    A line each: ok, warning (works, but not as well), failure (no search ends well) with what to do. Exit
    code 0 without failures, otherwise that of the first. Nothing is changed.
    """
    from concurrent.futures import ThreadPoolExecutor

    from oddsound.cli.checks._base import survey

    with ThreadPoolExecutor(1) as pool:
        findings = survey(_checks(data, run or Path(), tracking_uri or _known_uri(run), ray_address, pool))
    click.echo(_json(findings) if as_json else "\n".join(_lines(findings)))
    failures = [finding for finding in findings if finding.state == "failure"]
    if failures:
        raise failures[0].error(f"{_counted(findings)}, named above; mend them and ask again")
    talk(f"{_counted(findings)}. Next: {_next(data, run)}")


def _checks(
    data: Path | None, run: Path, uri: str | None, address: str, pool: ThreadPoolExecutor
) -> list[tuple[str, Check]]:
    """What is looked at, by what it is called should the look itself fail. A Ray cluster is asked in `pool`
    meanwhile: that takes seconds."""
    from functools import partial

    from oddsound.cli.checks import disks, machine, packages, services
    from oddsound.search.address import LOCAL

    checks: list[tuple[str, Check]] = [
        ("Python", packages.python),
        ("packages", packages.required),
        ("extras", packages.extras),
        ("tested with", packages.tested),
        ("torch", machine.gpus),
        ("CPUs", machine.cpus),
        ("memory", machine.memory),
        ("disk of RUN", partial(disks.run_folder, run, tracked_elsewhere=uri is not None)),
        ("temporary", disks.temporary),
        ("/dev/shm", disks.shared_memory),
        ("ports", services.ports),
        ("Ray's token", partial(services.token, address)),
    ]
    if address != LOCAL:
        asked = pool.submit(lambda: list(services.ray(address)))
        checks.append((f"Ray at {address}", asked.result))
    if uri is not None:
        checks.append(("MLflow", partial(services.mlflow, uri)))
    if data is not None:
        checks.append(("DATA", partial(disks.recordings, data, run)))
    return checks


def _known_uri(run: Path | None) -> str | None:
    from oddsound.search.record import known_uri

    return known_uri(run) if run is not None else None


def _lines(findings: Sequence[Finding]) -> list[str]:
    """`state  about  what is so; remedy`, in columns."""
    width = max(len(finding.about) for finding in findings)
    return [
        f"{click.style(f'{each.state:<7}', _COLOURS[each.state])}  {each.about:<{width}}  "
        + "; ".join(part for part in (each.said, each.remedy) if part)
        for each in findings
    ]


def _json(findings: Sequence[Finding]) -> str:
    import json

    document = {"findings": [finding.document() for finding in findings]}
    counts = {state: sum(f.state == state for f in findings) for state in _COLOURS}
    return json.dumps(document | {"counts": counts}, indent=1)


def _counted(findings: Sequence[Finding]) -> str:
    counts = {state: sum(f.state == state for f in findings) for state in ("failure", "warning")}
    return ", ".join(f"{n or 'no'} {state}{'' if n == 1 else 's'}" for state, n in counts.items())


def _next(data: Path | None, run: Path | None) -> str:
    from oddsound.recordings.plain import is_plain

    if data is not None and is_plain(data):
        return typed("data", "check", data)  # rates and lengths decide which options their run needs
    return typed("run", data or "DATA", "--out", run or "RUN") if data or run else typed("demo")
