#!/usr/bin/env bash
# A client that gets an answer to every question: one that is cut short it asks for again, and where it is refused it goes to another
# provider. It asks until the time line is over, and prints one sign for each question, in a line for each phase.
#
#     bash client.sh API ADMIN
set -euo pipefail
api=$1 admin=$2

phase() { curl --silent "$admin/phases" | sed -n 's/^  "phase": "\(.*\)",$/\1/p'; }

# ask MODEL QUESTION TENANT: sets `reply` to the stream, or to the error, with the status after it.
ask() {
  reply=$(curl --silent "$api/v1/chat/completions" --write-out '\n%{http_code}' \
    -H 'content-type: application/json' -H "x-simwright-tenant: $3" \
    -d "{\"model\": \"$1\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"question $2\"}]}") || true
}

before='' question=0
while now=$(phase) && [ -n "$now" ]; do
  if [ "$now" != "$before" ]; then
    printf '%s%-10s' "${before:+$'\n'}" "$now"
    before=$now
  fi
  question=$((question + 1))
  tenant=$([ $((question % 3)) = 0 ] && echo free-1 || echo acme)
  sign=.
  ask gpt-4o $question "$tenant"
  while [[ $reply == *$'\n200' && $reply != *'data: [DONE]'* ]]; do
    sign=c
    ask gpt-4o $question "$tenant"
  done
  if [[ $reply != *$'\n200' ]]; then
    sign=${reply##*$'\n'}
    ask claude-haiku-4-5 $question "$tenant"
  fi
  [[ $reply == *'data: [DONE]'* ]] || sign=lost
  printf ' %s' $sign
done
printf '\n%s questions\n' $question
