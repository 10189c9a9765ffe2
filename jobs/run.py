"""Ray job: `oddsound run` on the cluster that the job was submitted to.

    ray job submit -- python jobs/run.py /shared/data/dcase2021 --out /shared/runs/first

Takes the arguments of `oddsound run`. DATA and --out must lie on storage that every node sees, and
oddsound must be installed on every node.
"""

import sys

from oddsound.cli.main import main

main(["run", "--ray-address", "auto", *sys.argv[1:]])
