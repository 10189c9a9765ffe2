"""What MLflow's pages say of experiments, searches, models and versions, in Markdown. Nothing here talks to
a server.

Links are relative to MLflow's own page (`#/…`), for nobody knows by which name a reader reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from oddsound.config import TrialConfig, flattened
from oddsound.tracking.layout import DATA_DIGEST, KIND, MACHINE, SEARCH, TRIAL

if TYPE_CHECKING:
    from oddsound.tracking.ranking import TrackedTrial
    from oddsound.tracking.systems import SystemVersion, TrackedSystem

LONGEST = 5000
"""Characters that every MLflow store takes as a description and as a tag's value."""
_HEADING = "\n\n#### "
_PLACE, _USE = "Its place among the best", "How to use it"


def version_note(name: str, best: Sequence[TrackedTrial], rank: int) -> str:
    """Of the version of the trial at place `rank`, from 1, among the `best`: omega, AUC and pAUC of each
    section in percent, its place, how it was configured and how to load it."""
    trial = best[rank - 1]
    parts = [
        f"**Place {rank} of `{trial.machine}`: omega {100 * trial.omega:.2f} %**",
        f"Trial `{trial.trial}` of search `{trial.search}`, seed {trial.seed}, code {trial.code}, "
        f"data `{trial.data_digest[:12]}`. {run_link(trial, 'Its run')}.",
        _of_anomalies(trial),
        _headed("AUC and pAUC of each section, in percent", section_table(trial.metrics)),
        _headed(_PLACE, top_table(best, bold=rank)),
        _headed(_USE, loading(name, f"@top-{rank}")),
        _headed("Other than in the paper", configuration(trial.machine, trial.params)),
    ]
    return _fitting(parts)


def displaced(description: str, name: str, version: str, tags: Mapping[str, str], is_champion: bool) -> str:
    """The description of a version that is none of today's best, without what isn't true of it any more."""
    why = (
        "Still `champion`: today's best are of another search or of other recordings, and not better."
        if is_champion
        else "No longer among the best; kept as history."
    )
    omega = _percent(float(tags["oddsound.omega"])) if "oddsound.omega" in tags else "-"
    first, *parts = description.split(_HEADING)
    about = "\n".join([f"**`{tags.get(MACHINE, '')}`: omega {omega} %.** {why}", *first.splitlines()[1:]])
    kept = [part for part in parts if not part.startswith((_PLACE, _USE))]
    use = f"{_USE}\n\n{loading(name, '@champion' if is_champion else f'/{version}')}"
    return _HEADING.join([about, use, *kept])


def model_note(name: str, best: Sequence[TrackedTrial], champion: str, tags: Mapping[str, str]) -> str:
    """Of the registered model of a machine type; `tags` are its champion's."""
    trial = best[0]
    parts = [
        f"Detectors of anomalous sounds of `{trial.machine}`, found on the data set `{trial.dataset}`.",
        f"`champion` is [version {champion}](#/models/{name}/versions/{champion}): omega "
        f"{_percent(float(tags['oddsound.omega'])) if 'oddsound.omega' in tags else '-'} %, trial "
        f"`{tags.get(TRIAL, '-')}`, data `{tags.get(DATA_DIGEST, '-')[:12]}`.",
        _of_anomalies(trial),
        _headed(f"The best on the recordings `{trial.data_digest[:12]}`", top_table(best)),
        _headed(_USE, loading(name, "@champion")),
    ]
    return _fitting(parts)


def experiment_note(dataset: str, machine: str, best: Sequence[TrackedTrial], name: str) -> str:
    """Of the experiment `<dataset>/<machine>`: the best of all searches, and where to go from there.

    MLflow's list of experiments shows its beginning as it stands here: that is without Markdown.
    """
    first = f"best omega {_percent(best[0].omega)} %" if best else "no trial has finished yet"
    parts = [
        f"{machine}: {first}. Detectors of anomalous sounds, found on the data set {dataset}.",
        "Each search is a run; below it lies one run a trial. `omega` is the harmonic mean of all AUC and "
        "pAUC, the challenge's figure of merit.",
        _of_anomalies(best[0]) if best else "",
        _headed("The best of all searches", top_table(best)),
        f"Registered model: [{name}](#/models/{name})." if best else "",
        _headed(_USE, loading(name, "@champion")) if best else "",
    ]
    return _fitting(parts)


def _of_anomalies(trial: TrackedTrial) -> str:
    return f"The anomalous clips are {trial.anomalies}." if trial.anomalies else ""


def search_note(
    search: str, machine: str, best: Sequence[TrackedTrial], facts: Mapping[str, str], command: str, name: str
) -> str:
    """Of a search's parent run: its best trials, what it was asked for, and how to ask for it again."""
    parts = [
        f"**Search `{search}` of `{machine}`**",
        _headed("Its best", top_table(best)) or "No trial has finished yet.",
        trials_link(best[0].experiment_id, search) if best else "",
        f"Registered model: [{name}](#/models/{name})." if best else "",
        _headed("What it was asked for", _table(["", ""], [list(fact) for fact in facts.items()])),
        _headed("How to do it again", f"```sh\n{command}\n```") if command else "",
    ]
    return _fitting(parts)


def system_note(system: TrackedSystem) -> str:
    """Of one of S1-S4: each machine type's omega and members."""
    rows = []
    for machine, part in system.parts.items():
        members = ", ".join(f"`{member.trial[:8]}` {100 * member.omega:.2f}" for member in part.members)
        omegas = [_percent(part.omega), _percent(part.omega_raw)]
        rows.append([machine, *omegas, part.pinned, members, f"`{part.data_digest[:12]}`"])
    head = ["machine", "omega [%]", "fused [%]", "S1 stands in", "members and their omega [%]", "data"]
    parts = [
        f"**S{system.number}, {system.name}: mean omega {_percent(system.omega)} %**",
        _headed("Each machine type", _table(head, rows)),
    ]
    return _fitting(parts)


def system_model_note(dataset: str, name: str) -> str:
    """Of the registered model of one of S1-S4."""
    about = f"A system of all machine types of the data set `{dataset}`; each version names its members."
    return "\n\n".join([about, _headed(_USE, loading(name, "@champion"))])


def package_note(dataset: str, experiment: str, versions: Sequence[SystemVersion]) -> str:
    """Of a package for the challenge: its systems."""
    rows = [
        [
            f"[{of.name}](#/models/{of.name}/versions/{of.version})",
            of.system.name,
            _percent(of.system.omega),
            f"[run](#/experiments/{experiment}/runs/{of.run_id})",
        ]
        for of in versions
    ]
    table = _table(["system", "", "mean omega [%]", "run"], rows)
    return f"### A challenge package of `{dataset}`\n\n{table}"


def _percent(omega: float | None) -> str:
    return "-" if omega is None else f"{100 * omega:.2f}"


def top_table(best: Sequence[TrackedTrial], bold: int = 0) -> str:
    """The best trials, a row each; the one at place `bold` stands out."""
    rows = []
    for place, trial in enumerate(best, start=1):
        cells = [
            str(place),
            f"{100 * trial.omega:.2f}",
            run_link(trial, f"{trial.machine}-{trial.number:03d}"),
            f"`{trial.search}`",
            trial.recipe or "own",
            f"`{trial.weights_sha256[:12]}`",
        ]
        rows.append([f"**{cell}**" for cell in cells] if place == bold else cells)
    return _table(["place", "omega [%]", "trial", "search", "recipe", "weights"], rows)


def run_link(trial: TrackedTrial, text: str) -> str:
    return f"[{text}](#/experiments/{trial.experiment_id}/runs/{trial.run_id})"


def trials_link(experiment: str, search: str) -> str:
    """To the search's trials, the best first: MLflow's page nests trials below their search by age only."""
    query = {
        "searchFilter": f"tags.`{SEARCH}` = '{search}' AND tags.`{KIND}` = 'trial'",
        "orderByKey": "metrics.`omega`",
        "orderByAsc": "false",
    }
    page = f"#/experiments/{experiment}/runs?{urlencode(query, quote_via=quote)}"
    return f"[All its trials, the best first]({page})."


def loading(name: str, which: str) -> str:
    """How to use the model's version, `@alias` or `/number`, as lines of a shell."""
    lines = [
        f"oddsound predict --model models:/{name}{which} CLIPS --tracking-uri THIS_SERVER",
        f"MLFLOW_TRACKING_URI=THIS_SERVER mlflow models serve -m models:/{name}{which} --env-manager local",
    ]
    return "```sh\n" + "\n".join(lines) + "\n```"


def section_table(metrics: Mapping[str, float]) -> str:
    """A row a section, a column for each of `auc/<section>/source`, `pauc/<section>/target` …; percent."""
    cells = {}
    for name, value in metrics.items():
        measure, *rest = name.split("/")
        if measure in ("auc", "pauc") and rest:
            column = " ".join(["pAUC" if measure == "pauc" else "AUC", *rest[1:]])
            cells[rest[0], column] = f"{100 * value:.2f}"
    columns = sorted({column for _, column in cells})
    rows = [[section, *(cells.get((section, c), "") for c in columns)] for section in _sections(cells)]
    return _table(["section", *columns], rows)


def configuration(machine: str, params: Mapping[str, str]) -> str:
    """The settings that differ from the paper's."""
    usual = {key: str(value) for key, value in flattened(TrialConfig(machine=machine).model_dump()).items()}
    rows = [[f"`{key}`", value] for key, value in sorted(params.items()) if usual.get(key) != value]
    return _table(["setting", "value"], rows) or "Configured as in the paper."


def _fitting(parts: Sequence[str]) -> str:
    """The parts that are there, without the last ones where they are more than every store takes."""
    kept = [part for part in parts if part]
    while len(kept) > 1 and len("\n\n".join(kept)) > LONGEST:
        kept.pop()
    return "\n\n".join(kept)[:LONGEST]


def _sections(cells: Mapping[tuple[str, str], str]) -> list[str]:
    return sorted({section for section, _ in cells})


def _headed(heading: str, text: str) -> str:
    """MLflow's pages set tables without any space: a line of its own tells one from the next."""
    return f"{_HEADING.strip()} {heading}\n\n{text}" if text else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
