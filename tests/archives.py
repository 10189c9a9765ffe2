"""Small archives as the challenge's are, and records of them."""

from __future__ import annotations

import io
import random
import wave
import zipfile
from collections.abc import Mapping

TABLE = "file_name,d1p,d1v\n{machine}/train/section_00_source_train_normal_0000_.wav,vel,1\n"


def wav(seed: int, n_samples: int = 1600) -> bytes:
    """A 16 kHz 16-bit mono WAV of noise, which hardly packs."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(random.Random(seed).randbytes(2 * n_samples))
    return stream.getvalue()


def packed(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members; the same ones give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2021, 3, 1, 12, 0, 0))
            info.compress_type = method
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return stream.getvalue()


def dev_2021(machine: str, n: int = 2, lead: str = "") -> bytes:
    """Training and test clips of section 00."""
    names = [f"train/section_00_source_train_normal_{i:04d}_speed_1.wav" for i in range(n)]
    names += [f"{d}_test/section_00_{d}_test_normal_0000.wav" for d in ("source", "target")]
    return packed({f"{lead}{machine}/{name}": wav(i) for i, name in enumerate(names)} | {"LICENSE": b"CC"})


def train_2021(machine: str) -> bytes:
    return packed({f"{machine}/train/section_03_source_train_normal_0000.wav": wav(10)})


def eval_2021(machine: str) -> bytes:
    names = [f"{d}_test/section_03_{d}_test_0000.wav" for d in ("source", "target")]
    return packed({f"{machine}/{name}": wav(20 + i) for i, name in enumerate(names)})


def labels_2021(*machines: str) -> bytes:
    return packed(
        {
            f"labels/ground_truth_{m}_section_03_{d}_test.csv": f"section_03_{d}_test_0000.wav,0\n".encode()
            for m in machines
            for d in ("source", "target")
        }
    )


def year_2021(*machines: str) -> dict[int, dict[str, bytes]]:
    """The four records of 2021, of these machine types."""
    return {
        4562016: {f"dev_data_{m}.zip": dev_2021(m) for m in machines},
        4660992: {f"eval_data_{m}_train.zip": train_2021(m) for m in machines},
        4884786: {f"eval_data_{m}_test.zip": eval_2021(m) for m in machines},
        5257674: {"labels.zip": labels_2021(*machines)},
    }
