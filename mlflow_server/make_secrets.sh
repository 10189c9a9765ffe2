#!/bin/sh
# Random secrets for compose.yaml, each in a file that its one reader may read. As root, so that it can be theirs.
#
#   mlflow_server/make_secrets.sh [FOLDER]        default: mlflow_server/secrets
set -eu
umask 077

folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
    echo "$0: $folder is there already; these secrets are in use, so nothing was changed" >&2
    exit 3
fi
mkdir -p "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

postgres=$(random)
s3_key=$(random | cut -c1-20)
s3_secret=$(random)

printf '%s' "$postgres" >"$folder/postgres-password"
printf 'postgresql://mlflow:%s@postgres/mlflow' "$postgres" >"$folder/backend-uri"
printf 'postgresql://mlflow:%s@postgres/accounts' "$postgres" >"$folder/accounts-uri"
random >"$folder/admin-password"
random >"$folder/cookie-key"
printf '%s' "$s3_key" >"$folder/s3-key"
printf '%s' "$s3_secret" >"$folder/s3-secret"
printf '{"identities": [{"name": "mlflow", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin", "Read", "Write", "List"]}]}\n' \
    "$s3_key" "$s3_secret" >"$folder/s3.json"

# The users of the containers: 10001 is the Dockerfile's, 999 the PostgreSQL image's.
if [ "$(id -u)" -eq 0 ]; then
    chown 10001:10001 "$folder"/*
    chown 999:999 "$folder/postgres-password"
    chown 0:0 "$folder/s3.json"
else
    echo "$0: not root: give the files to uid 10001 (postgres-password to 999, s3.json to 0) yourself" >&2
fi
echo "secrets are in $folder; the password of 'admin' is in admin-password" >&2
