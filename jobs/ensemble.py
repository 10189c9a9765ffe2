"""Ray job: `oddsound submit` on the cluster that the job was submitted to.

    python jobs/submit.py ensemble /shared/runs/first --authors /shared/authors.yaml

Takes the arguments of `oddsound submit`. It trains nothing: fusing and packaging run in the job's driver.
"""

import sys

from oddsound.cli.main import main

main(["submit", *sys.argv[1:]])
