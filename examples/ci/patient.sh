#!/bin/sh
# A client that waits as long as it is told: curl retries a 429 and heeds its `retry-after`.
set -eu
for question in 1 2 3 4 5 6; do
  curl --silent --fail --retry 5 --output /dev/null \
    -H 'content-type: application/json' \
    -d "{\"model\": \"gpt-4o\", \"messages\": [{\"role\": \"user\", \"content\": \"question $question\"}]}" \
    "$OPENAI_BASE_URL/chat/completions"
done
