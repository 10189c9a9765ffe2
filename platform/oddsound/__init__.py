"""oddsound: tune, ensemble and ship detectors of anomalous machine sounds."""

__version__ = "0.1.0"
