"""What the tests of trials share."""

from collections.abc import Callable

from oddsound.config import TrialConfig
from oddsound.training.bundle import Bundle


def silent(_metrics: dict[str, float]) -> None:
    pass


def changed(config: TrialConfig, **training: object) -> TrialConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=training)})


def stop_after(epoch: int) -> Callable[[dict[str, float]], None]:
    def report(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == epoch:
            raise KeyboardInterrupt

    return report


def same_bytes(a: Bundle, b: Bundle) -> bool:
    return (
        a.weights.read_bytes() == b.weights.read_bytes()
        and a.scores_path.read_bytes() == b.scores_path.read_bytes()
    )
