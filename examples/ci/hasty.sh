#!/bin/sh
# A client that tries again at once, whatever it is told.
set -eu
for question in 1 2 3 4 5 6; do
  until curl --silent --fail --output /dev/null \
    -H 'content-type: application/json' \
    -d "{\"model\": \"gpt-4o\", \"messages\": [{\"role\": \"user\", \"content\": \"question $question\"}]}" \
    "$OPENAI_BASE_URL/chat/completions"; do :; done
done
