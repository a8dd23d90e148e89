"""A worker as `tinynas worker` starts it, whose boards are those of a fleet (tests/device/fleet.py).

python fleet_worker.py FOLDER ARGUMENT...
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "device"))

from fleet import board_kind, stand_in

from tinynas.cli import main
from tinynas.cluster import offer

if __name__ == "__main__":
    stand_in(Path(sys.argv[1]), "0")
    offer.load_board = lambda name: board_kind()
    sys.argv = ["tinynas", "worker", *sys.argv[2:]]
    main()
