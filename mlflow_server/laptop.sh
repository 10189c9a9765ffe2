#!/bin/sh
# Browse the runs of one laptop: `mlflow server` on 127.0.0.1 for a run folder or its sqlite file.
#
#   mlflow_server/laptop.sh RUN_FOLDER|FILE.db [PORT]
set -eu

usage() {
    echo "usage: $0 RUN_FOLDER|FILE.db [PORT]" >&2
    exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
port=${2:-5000}
host=${HOST_ADDRESS:-127.0.0.1}

case $port in
*[!0-9]* | '') echo "$0: port '$port' is not a number" >&2; usage ;;
esac
case $host in
127.0.0.1 | localhost) ;;
*)
    echo "$0: refused to listen on '$host': this server has no accounts, so it stays on 127.0.0.1;" \
        "from elsewhere use 'ssh -L $port:127.0.0.1:$port'" >&2
    exit 2
    ;;
esac

database=$1
[ ! -d "$1" ] || database=$1/mlflow.db
[ ! -d "$1/mlflow" ] || database=$1/mlflow/mlflow.db
if [ ! -f "$database" ]; then
    echo "$0: no file $database; give the folder of a search that oddsound has run" >&2
    exit 3
fi
folder=$(CDPATH='' cd -- "$(dirname -- "$database")" && pwd)
database=$folder/$(basename -- "$database")

# Job execution off: 2 processes and 0.5 GB in place of 10 and 2.3 GB, and nothing here needs it.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export MLFLOW_DISABLE_TELEMETRY="${MLFLOW_DISABLE_TELEMETRY:-true}"

echo "MLflow for $database on http://127.0.0.1:$port (Ctrl-C ends it)" >&2
# MLflow's own list of hosts takes `10.evil.example` for a private address: name ours instead.
exec "${MLFLOW:-mlflow}" server \
    --backend-store-uri "sqlite:///$database" \
    --artifacts-destination "$folder/artifacts" \
    --host 127.0.0.1 --port "$port" --workers 1 \
    --allowed-hosts "localhost:$port,127.0.0.1:$port" \
    --cors-allowed-origins "http://localhost:$port,http://127.0.0.1:$port"
