"""The benchmark's package lies beside `benchmarks/streaming.py`, which finds it as its own folder's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
