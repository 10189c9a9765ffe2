"""From WAVs to scores with a registered champion, against a loop that takes one clip after the other.

    python -m benchmarks.scoring                            # 1,000 clips of 10 s, full size, five rounds
    python -m benchmarks.scoring --clips 60 --rounds 1      # quicker

The champion is trained first: one trial of one epoch on a synthetic fan, by `oddsound search`. The loop is
what one would write with its weights: librosa's load and melspectrogram, the network in float32 with
contiguous tensors, eq. 3. Ours is `oddsound predict --model models:/...@champion`. Each is a fresh process,
timed from after its imports: the model's loading counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from benchmarks.measure import in_turns, load, met, ratios, say, spread, table
from benchmarks.packed import Pipe, answer

TARGET = 3.0
CHAMPION = "models:/data.fan@champion"
SECTION = "00"
TUNED, AS_IT_COMES = "one clip after the other, one BLAS thread", "one clip after the other, as it comes"
OURS, FEWER = "oddsound predict", "oddsound predict, fewer clips"
ONE = "oddsound predict --batch-size 1"


def make_champion(folder: Path, width: float) -> None:
    """A run with one trial in `folder`/run."""
    from oddsound.recordings.synth.folder import synthesise

    data = folder / "data"
    synthesise(data, seconds=10.0, n_train_source=6, n_test=2, evaluation=False, machines=("fan",))
    settings = ("model.pretrained=none", f"model.width={width}", "training.epochs=1")
    given = [argument for setting in settings for argument in ("--set", setting)]
    oddsound = Path(sys.executable).with_name("oddsound")
    command = [oddsound, "search", data, "--out", folder / "run", "--trials", 1, *given]
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def make_clips(folder: Path, n: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(n):
        noise = 0.1 * rng.standard_normal(160_000).astype(np.float32)
        soundfile.write(folder / f"clip_{number:05d}.wav", noise, 16_000, subtype="PCM_16")


# What is timed.


def ours(pipe: Pipe, folder: Path, clips: Path, batch_size: int) -> None:
    import mlflow  # noqa: F401
    import torch  # noqa: F401

    import oddsound.ensemble.opening
    import oddsound.tracking.loading  # noqa: F401
    from oddsound.cli.main import main
    from oddsound.training.usage import forget_peaks, host_peak

    forget_peaks()
    began = time.perf_counter()
    arguments = ["predict", "--model", CHAMPION, "--run", folder / "run", "--section", SECTION, clips]
    options = ["--batch-size", batch_size, "--out", folder / "scores.csv"]
    with suppress(SystemExit):
        main([str(part) for part in (*arguments, *options)])
    assert (folder / "scores.csv").stat().st_size
    pipe.send((time.perf_counter() - began, host_peak()))


def loop(pipe: Pipe, folder: Path, clips: Path, blas_threads: int) -> None:
    import librosa
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from oddsound.training.bundle import finished
    from oddsound.training.detector import load_bundle
    from oddsound.training.usage import forget_peaks, host_peak

    if blas_threads:
        threadpool_limits(blas_threads, "blas")
    (bundle,) = finished(folder / "run" / "trials", "fan")
    librosa.feature.melspectrogram(y=np.zeros(16_000), sr=16_000)  # it compiles at its first call
    forget_peaks()
    began = time.perf_counter()
    detector = load_bundle(bundle)
    network = detector.network.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    own = detector.facts.classes.index(SECTION)
    with (folder / "loop.csv").open("w") as out, torch.no_grad():
        for path in sorted(clips.glob("*.wav")):
            samples, rate = librosa.load(path, sr=None)
            mel = librosa.feature.melspectrogram(
                y=samples, sr=rate, n_fft=1024, hop_length=512, n_mels=128, center=False
            )
            x = librosa.power_to_db(mel)
            p = network.logits(torch.from_numpy(x[None])).double().softmax(dim=1)[0, own].item()
            out.write(f"{path.name},{np.log((1 - p) / p)}\n")
    pipe.send((time.perf_counter() - began, host_peak()))


def tell(folder: Path, n: int, rounds: int, width: float, batch_size: int) -> None:
    make_champion(folder, width)
    make_clips(folder / "clips", n)
    make_clips(folder / "few", n // 4)
    peaks: dict[str, float] = {}
    n_clips: dict[str, int] = {}

    def timed(name: str, count: int, work: Callable[..., None], *more: object) -> Callable[[], float]:
        """Clips per second."""

        def run() -> float:
            clips = folder / ("clips" if count == n else "few")
            seconds, peaks[name] = answer(work, folder, clips, *more, as_worker=False)
            n_clips[name] = count
            return float(count / seconds)

        return run

    few = n // 4
    ways = {
        TUNED: timed(TUNED, n, loop, 1),
        OURS: timed(OURS, n, ours, batch_size),
        FEWER: timed(FEWER, few, ours, batch_size),
        ONE: timed(ONE, few, ours, 1),
        AS_IT_COMES: timed(AS_IT_COMES, few, loop, 0),
    }
    found = in_turns(ways, rounds, warm_up=False)
    first = found[TUNED]
    print("## Scoring\n")
    print(
        f"Clips of 10 s from WAV to scores with a registered champion (EfficientNet-B0 of width {width:g}), "
        f"{os.cpu_count()} CPUs, {rounds} rounds in turn, each in a fresh process, imports not counted, the "
        f"model's loading is ({load()}). NumPy's threads in librosa and torch's in the network fight for the "
        "CPUs unless NumPy has but one: the first loop has one.\n"
    )
    rows = [
        [name, str(n_clips[name]), spread(rate), spread(ratios(rate, first)), f"{peaks[name] / 1e6:,.0f}"]
        for name, rate in found.items()
    ]
    print(table(["", "clips", "clips/s", "times the first", "peak memory [MB]"], rows))
    print()
    for theirs, what in ((AS_IT_COMES, "as it comes"), (TUNED, "whose BLAS threads were tuned")):
        gained = ratios(found[OURS], found[theirs])
        is_met = met(float(np.median(gained)) >= TARGET)
        print(f"- {spread(gained)} times the loop {what}; target at least {TARGET:g}: {is_met}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=16)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="oddsound-bench-") as folder:
        say("training the champion")
        tell(Path(folder), given.clips, given.rounds, given.width, given.batch_size)


if __name__ == "__main__":
    main()
