import sys
from pathlib import Path

# So that these rooms' tests share tests/unit/scoring/tables.py however pytest is started.
ROOT = str(Path(__file__).resolve().parents[3])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
