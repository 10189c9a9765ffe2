"""What is written to MLflow and how it is read back. The only room that imports mlflow.

MLflow is never on the critical path: a trial's bundle is on storage before anything here hears of
it, and whatever a tracking server missed is sent later (`sync`), each finished trial exactly once.
"""

import os

# MLflow reads both while it is imported, and stdout is data: before any module below imports it.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
