"""Ray job: `oddsound run` on the cluster that the job was submitted to.

    python jobs/submit.py run /shared/dcase2021 --out /shared/runs/first

Takes the arguments of `oddsound run`. DATA and --out must lie on storage that every node sees.
"""

import sys

from oddsound.cli.main import main

main(["run", "--ray-address", "auto", *sys.argv[1:]])
