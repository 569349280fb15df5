"""One cell by itself: `python -m lab.campaign SEED NUMBER SECONDS FOLDER` writes its tally, pickled."""

import pickle
import sys
from pathlib import Path

from lab.campaign.cell import run
from lab.campaign.scenario import draw

if __name__ == "__main__":
    seed, number, seconds, folder = sys.argv[1:]
    scenario = draw(int(seed), int(number), float(seconds))
    sys.stdout.buffer.write(pickle.dumps(run(scenario, float(seconds), Path(folder))))
