"""Pretrained weights before a search: found, copied, tried once, and refused in a line."""

from pathlib import Path

import pytest
import torch

from oddsound.cli.weights import prepare_weights
from oddsound.config import ModelConfig
from oddsound.errors import ConfigError, TrackingError, WeightsError
from oddsound.models.backbones import build_backbone
from oddsound.models.pretrained import IMAGENET_SHA256, backbone_bytes, sha256_of
from oddsound.search.space import SearchSpace, load_space, read_space, spaces_folder
from oddsound.tracking.store import Store, open_store

pytestmark = pytest.mark.long

NARROW = {"width": 0.1, "depth": 0.3}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(None, tmp_path_factory.mktemp("mlflow"))


def space(**model: object) -> SearchSpace:
    return load_space("fan", [{"model": model}])


def written(path: Path, **settings: object) -> Path:
    config = ModelConfig.model_validate(settings)
    path.write_bytes(backbone_bytes(build_backbone(config)[0], config))
    return path


def test_nothing_is_asked_for_where_nothing_is_pretrained(tmp_path: Path, store: Store) -> None:
    spaces, files = prepare_weights([space(pretrained="none")], {}, tmp_path / "weights", store)
    assert files == spaces[0].weights == {}
    assert not (tmp_path / "weights").exists()


def test_a_searched_dimension_has_its_weights_ready(tmp_path: Path, store: Store, capfd) -> None:  # type: ignore[no-untyped-def]
    """The shipped spaces search none and imagenet; the second's hash is in those trials alone."""
    (ready,), files = prepare_weights([load_space("fan")], {}, tmp_path, store)
    assert ready.weights == {"imagenet": IMAGENET_SHA256}
    assert sha256_of(files["imagenet"]) == IMAGENET_SHA256
    assert files["imagenet"].parent == tmp_path
    trials = {p: ready.trial({**ready.paper, "model.pretrained": p}, 0) for p in ("none", "imagenet")}
    assert trials["none"].model.pretrained_sha256 == ""
    assert trials["imagenet"].model.pretrained_sha256 == IMAGENET_SHA256
    said = capfd.readouterr().err
    assert "weights imagenet for tf_efficientnet_b0" in said
    assert "loaded" in said and "skipped" in said


def test_a_users_checkpoint_by_name_and_by_path(tmp_path: Path, store: Store) -> None:
    file = written(tmp_path / "own.safetensors", **NARROW)
    for asked, given in (("audioset", {"audioset": file}), (str(file), {})):
        of = space(pretrained=asked, backbone="efficientnet_b0", **NARROW)
        (ready,), files = prepare_weights([of], given, tmp_path / "weights", store)
        assert ready.weights == {asked: sha256_of(file)}
        assert files[asked].read_bytes() == file.read_bytes()
    assert len(list((tmp_path / "weights").iterdir())) == 1, "one content, one copy"


def test_a_state_dict_of_torch_is_taken(tmp_path: Path, store: Store) -> None:
    config = ModelConfig.model_validate(NARROW)
    torch.save(build_backbone(config)[0].state_dict(), tmp_path / "own.pth")
    of = space(pretrained=str(tmp_path / "own.pth"), backbone="efficientnet_b0", **NARROW)
    assert prepare_weights([of], {}, tmp_path / "weights", store)[1]


@pytest.mark.parametrize(
    ("model", "given", "error", "message"),
    [
        (
            {"pretrained": "audioset"},
            {},
            ConfigError,
            "audioset: give the checkpoint: --weights audioset=FILE",
        ),
        ({"pretrained": "none"}, {"audioset": Path("x")}, ConfigError, "no trial of this search asks for"),
        ({"pretrained": "nowhere.pth"}, {}, WeightsError, r"nowhere\.pth: no such file"),
        ({"pretrained": "imagenet", "backbone": "efficientnet_b0"}, {}, ConfigError, "tf_efficientnet_b0"),
        ({"pretrained": "imagenet", "width": 0.5}, {}, ConfigError, "imagenet: .* set both to 1"),
        ({"pretrained": "models:/nobody.pretrained.b0/1"}, {}, TrackingError, r"nobody\.pretrained\.b0"),
    ],
)
def test_what_can_not_be_had_is_said_in_a_line(
    model: dict[str, object],
    given: dict[str, Path],
    error: type[Exception],
    message: str,
    tmp_path: Path,
    store: Store,
) -> None:
    with pytest.raises(error, match=message) as refused:
        prepare_weights([space(**model)], given, tmp_path / "weights", store)
    assert "\n" not in str(refused.value)


def test_weights_are_tried_on_every_backbone_that_asks_for_them(tmp_path: Path, store: Store) -> None:
    """The first machine type's fits; the second's doesn't, and no trial has to find that out."""
    file = written(tmp_path / "own.safetensors", **NARROW)
    fits = space(pretrained=str(file), backbone="efficientnet_b0", **NARROW)
    other = load_space(
        "valve", [{"model": {"pretrained": str(file), "backbone": "tf_efficientnet_b0", **NARROW}}]
    )
    for spaces in ([fits, other], [other, fits]):
        with pytest.raises(WeightsError, match=r"model\.pretrained .*own\.safetensors"):
            prepare_weights(spaces, {}, tmp_path / "weights", store)


def test_a_space_knows_its_own_weights_alone(tmp_path: Path, store: Store) -> None:
    """So that another machine type with other weights extends a run."""
    file = written(tmp_path / "own.safetensors", **NARROW)
    with_weights = space(pretrained=str(file), backbone="efficientnet_b0", **NARROW)
    ready, _ = prepare_weights([with_weights, space(pretrained="none")], {}, tmp_path / "weights", store)
    assert [of.weights for of in ready] == [{str(file): sha256_of(file)}, {}]


@pytest.mark.parametrize("name", ["imagenet", "timm:efficientnet_b0.ra_in1k", "models:/a/1", "none"])
def test_a_name_that_means_weights_of_its_own_takes_no_file(name: str, tmp_path: Path, store: Store) -> None:
    with pytest.raises(ConfigError, match="means weights of its own"):
        prepare_weights([load_space("fan")], {name: tmp_path}, tmp_path / "weights", store)


def test_a_file_that_can_not_be_used_leaves_nothing(tmp_path: Path, store: Store) -> None:
    (tmp_path / "text.pth").write_text("no weights")
    of = space(pretrained=str(tmp_path / "text.pth"))
    with pytest.raises(WeightsError, match=r"text\.pth: not a file of torch\.save"):
        prepare_weights([of], {}, tmp_path / "run" / "weights", store)
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run" / "weights").iterdir())


def test_the_baselines_of_table1_need_no_weights(tmp_path: Path, store: Store) -> None:
    reading = {"recipes": {"pretrained": "none", "backbone": "efficientnet_b0"}}
    of = read_space("fan", spaces_folder() / "table1.yaml", [reading])
    assert prepare_weights([of], {}, tmp_path, store)[1] == {}
