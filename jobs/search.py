"""Ray job: `oddsound search` on the cluster that the job was submitted to.

    python jobs/submit.py search /shared/dcase2021 --out /shared/runs/first

Takes the arguments of `oddsound search`. DATA and --out must lie on storage that every node sees.
"""

import sys

from oddsound.cli.main import main

main(["search", "--ray-address", "auto", *sys.argv[1:]])
