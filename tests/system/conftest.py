"""What the tests of whole commands share."""

import sys
from pathlib import Path

# Modules are found by name: tests are no packages.
sys.path.insert(0, str(Path(__file__).parent))
