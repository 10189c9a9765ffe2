"""Send this checkout's oddsound to a running Ray cluster as a job.

    python jobs/submit.py search /shared/dcase2021 --out /shared/runs/first
    python jobs/submit.py --each-machine search /shared/dcase2021 --out /shared/runs/first --machines fan,pump
    python jobs/submit.py search --resume /shared/runs/first

COMMAND is search, table1, pretrain, ensemble or run; what follows is that oddsound command's own. The
nodes need oddsound's dependencies, not oddsound. The job's output is shown until it ends, and its exit
status is this program's; after Ctrl-C the job goes on. --each-machine makes each machine type a Ray job
of its own with a run folder of its own, and returns when they are submitted.
"""

import argparse
import os
import sys
from pathlib import Path

from oddsound.errors import OddsoundError
from oddsound.search.auth import prepare_authentication

HERE = Path(__file__).resolve().parent
COMMANDS = ("search", "table1", "pretrain", "ensemble", "run")


def submit(given: argparse.Namespace) -> int:
    note = prepare_authentication(given.address, "--insecure" in given.arguments)
    if note:
        print(note, file=sys.stderr)
    from oddsound.search import jobs  # only now: it imports ray

    job = jobs.Job.of(given.command, given.arguments)
    jobs.refuse_relative_paths(job)
    asked = jobs.each_machine(job) if given.each_machine else [job]
    ids = jobs.submit(asked, given.address, HERE)
    if given.each_machine or given.no_wait:
        for each, job_id in zip(asked, ids, strict=True):
            print(job_id, each.run)
        print("follow one: ray job logs --follow ID; end it: ray job stop ID", file=sys.stderr)
        return 0
    print(f"job {ids[0]}; Ctrl-C leaves it running, `ray job stop {ids[0]}` ends it", file=sys.stderr)
    return jobs.follow(ids[0], given.address, lambda lines: print(lines, end="", flush=True))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--address", default=os.environ.get("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265"))
parser.add_argument("--each-machine", action="store_true", help="one Ray job for each of --machines")
parser.add_argument("--no-wait", action="store_true", help="print the job's id and return")
parser.add_argument("command", choices=COMMANDS)
parser.add_argument("arguments", nargs=argparse.REMAINDER)

if __name__ == "__main__":
    try:
        sys.exit(submit(parser.parse_args()))
    except OddsoundError as error:
        print(f"oddsound: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
