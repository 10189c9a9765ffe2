"""The settings of trials that a command line gives: --config, --epochs and --set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oddsound.yaml_files import Placed


def overrides(options: Mapping[str, Any]) -> list[Placed]:
    """What --config, --epochs and --set say, in that order, and where each was said."""
    from oddsound.config import nested
    from oddsound.errors import ConfigError
    from oddsound.yaml_files import Placed, parse_yaml

    overlays = named_settings(options)
    for setting in options["settings"]:
        path, equals, value = setting.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {setting}: expected SETTING=VALUE, e.g. loss.rho=0.1")
        place = getattr(setting, "place", f"--set {path}")
        overlays.append(Placed(nested({path: parse_yaml(value, place)}), place))
    return overlays


def named_settings(options: Mapping[str, Any]) -> list[Placed]:
    """What --config and --epochs say, where they are given."""
    from oddsound.yaml_files import Placed, read_mapping

    overlays = [read_mapping(_settings_file(name)) for name in options.get("configs", ())]
    if options.get("epochs"):
        overlays.append(Placed({"training": {"epochs": options["epochs"]}}, "--epochs"))
    return overlays


def _settings_file(name: str) -> Path:
    """The file of that name, or the shipped settings that are called so."""
    from oddsound.errors import ConfigError
    from oddsound.recordings.names import did_you_mean
    from oddsound.search.space import spaces_folder

    shipped = {path.stem: path for path in spaces_folder().glob("*.yaml")}
    if name in shipped or "/" in name or Path(name).suffix or Path(name).exists():
        return shipped.get(name, Path(name))
    near = did_you_mean(name, shipped) or f"shipped are {', '.join(sorted(shipped))}"
    raise ConfigError(f"--config {name}: no such file, and no settings of that name; {near}".rstrip())
