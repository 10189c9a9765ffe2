"""A run whose every name is somebody's attempt."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.unit.report.runs import POINTS, begin, begun_trial, finished_trial, scores, space

from oddsound.recordings.index import index_folder

SCRIPT = "<script>document.title='taken'</script>"
CLIP = "section_00_source_test_anomaly_0000_<img src=x onerror=document.title='taken'>&amp;.wav"
SCRIPT_MACHINE = "<svg onload=alert(1)>"
REASON = f"{SCRIPT}\"'>\u202egnp.exe\u200f</td></table>\nsecond line"
UNSEEN = "a\x00\x1b\u202e"
"""A choice of a searched setting; with half of a character more the name of a loss."""
DATASET = f'"><b onclick=x>&{SCRIPT}'


def hostile_run(folder: Path, data: Path) -> Path:
    """Fan's recordings with a clip named `CLIP` that scores highest, and a machine type that is a name."""
    recordings = folder / "recordings"
    shutil.copytree(data / "fan", recordings / "fan")
    first = recordings / "fan" / "source_test" / "section_00_source_test_anomaly_0000.wav"
    first.rename(first.with_name(CLIP))
    run = begin(folder / "run", recordings, ("fan",), DATASET)
    clips, fan = index_folder(recordings).of("fan"), space("fan")
    table = scores("fan", clips, 0, 1.0)
    table = replace(table, score=np.where(table.file == CLIP, 99.0, table.score))
    for number, point in enumerate(POINTS[:4]):
        bundle = finished_trial(run, fan.trial(point, 0), number, table)
        epochs = [epoch | {f"loss/{UNSEEN}\udcff": 1.0} for epoch in bundle.history()]
        bundle.write("history.json", epochs)
    failed = begun_trial(run, fan.trial(POINTS[0], 1))
    failed.write("failure.json", {"reason": REASON})
    failed.log.write_text(f"2026-11-23T00:00:00+00:00 attempt on {SCRIPT}, process 12\n")
    record = json.loads((run / "run.json").read_text())
    record["machines"] |= {SCRIPT_MACHINE: {"space": {SCRIPT: SCRIPT}}, "\u202enaf": {}}
    choices = (*(point["loss.rho"] for point in POINTS), UNSEEN)
    record["machines"]["fan"]["space"]["loss.rho"] = f"CategoricalDistribution(choices={choices!r})"
    record["changes"] = [{"when": SCRIPT, "what": [f"loss.rho {SCRIPT}"]}]
    record["tracking_uri"] = f"http://{SCRIPT}.example"
    (run / "run.json").write_text(json.dumps(record))
    return run
