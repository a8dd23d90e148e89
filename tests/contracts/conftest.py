import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "instruments"))
# The firmware on the host, which the power sensors sit behind.
sys.path.insert(0, str(Path(__file__).parents[1] / "firmware"))
