#!/bin/sh
# Runs a client against a server of its own and ends with the verdict on the client: 0 if all criteria are kept, 4 if not.
#
#     sh job.sh COMMAND...
#
# The client finds the server's address in OPENAI_BASE_URL. The verdict goes to verdict.json, too.
set -eu
here=$(dirname "$0")
folder=$(mktemp -d)
mkfifo "$folder/said"
simwright serve "$here/scenario.yaml" --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log warn --report verdict.json >"$folder/said" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -r "$folder"' EXIT
exec 3<"$folder/said"
# The ready line. If the server cannot start there is none, it has said why, and the job ends here.
read -r ready api admin <&3
OPENAI_BASE_URL="${api#api=}/v1" OPENAI_API_KEY=any "$@"
kill -TERM "$server"
verdict=0
wait "$server" || verdict=$?
cat <&3
exit "$verdict"
