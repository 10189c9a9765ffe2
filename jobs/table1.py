"""Ray job: `oddsound table1` on the cluster that the job was submitted to.

    python jobs/submit.py table1 /shared/dcase2021 --out /shared/runs/table1

Takes the arguments of `oddsound table1`. DATA and --out must lie on storage that every node sees.
"""

import sys

from oddsound.cli.main import main

main(["table1", "--ray-address", "auto", *sys.argv[1:]])
