# Run a program that takes its secrets from the environment only, in a container that has them in files.
#
#     sh with_secrets.sh MLFLOW_FTP_PASSWORD=ftp_password python dashboard/serve.py
#
# Each NAME=FILE before the program becomes the variable NAME with the content of that file of /run/secrets.
set -eu
while [ "${1#*=}" != "$1" ]; do
    content=$(tr -d '\r' < "${SECRETS:-/run/secrets}/${1#*=}")  # which Windows puts at the end of a line
    export "${1%%=*}=$content"
    shift
done
exec "$@"
