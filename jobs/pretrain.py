"""Ray job: `oddsound pretrain` on the cluster that the job was submitted to.

    python jobs/submit.py pretrain /shared/esc50 --out /shared/runs/esc50

Takes the arguments of `oddsound pretrain`. CORPUS and --out must lie on storage that every node sees.
"""

import sys

from oddsound.cli.main import main

main(["pretrain", "--ray-address", "auto", *sys.argv[1:]])
