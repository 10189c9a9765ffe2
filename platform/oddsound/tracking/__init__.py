"""What is written to MLflow and how it is read back. The only room that imports mlflow.

MLflow is never on the critical path: a trial's bundle is on storage before anything here hears of
it, and whatever a tracking server missed is sent later (`sync`), each finished trial exactly once.
"""

import os

# stdout is data, stderr is ours, and nobody is told what is run here. MLflow reads some of these while
# it is imported, so they stand here, before any module of this room imports it.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
