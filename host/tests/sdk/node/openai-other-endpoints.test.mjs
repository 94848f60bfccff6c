// The official Node SDK: completions, embeddings, moderations.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
tokens: exact
defaults: { latency: { constant: { first: 2ms, between: 1ms } }, reply: { text: { tokens: 24 } } }
models:
  - { match: instruct }
  - { match: [text-embedding-3-small, omni-moderation-latest] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: twice-busy, faults: [{ script: [{ http-error: { status: 429, retry-after: 5ms } }, { http-error: { status: 503 } }, pass] }] }
`;

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", maxRetries: 2 });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const dot = (one, other) => one.reduce((sum, value, index) => sum + value * other[index], 0);

test("embeddings come as base64 unless floats are asked for, and are the same", async () => {
  const ask = { model: "text-embedding-3-small", input: ["hello world", "goodbye"] };
  const usual = await client.embeddings.create(ask);
  const floats = await client.embeddings.create({ ...ask, encoding_format: "float" });
  for (const index of [0, 1]) {
    assert.equal(usual.data[index].embedding.length, 1536);
    assert.deepEqual(Array.from(usual.data[index].embedding), floats.data[index].embedding.map(Math.fround));
    assert.ok(Math.abs(dot(usual.data[index].embedding, usual.data[index].embedding) - 1) < 1e-5);
  }
  const tokens = await client.embeddings.create({ ...ask, input: [[15339, 1917]] });
  assert.deepEqual(tokens.data[0].embedding, usual.data[0].embedding);
});

test("a refused embedding says why", async () => {
  await assert.rejects(client.embeddings.create({ model: "text-embedding-3-small", input: [""] }), (error) => {
    return error instanceof OpenAI.BadRequestError && /'\$\.input' is invalid/.test(error.message);
  });
});

test("embeddings are retried as often as scripted", async () => {
  const answer = await client.embeddings.create({ model: "twice-busy", input: "x", dimensions: 8 });
  assert.equal(answer.data[0].embedding.length, 8);
});

test("a streamed completion is the whole one in pieces", async () => {
  const ask = { model: "instruct", prompt: "Once upon a time", max_tokens: 64 };
  const whole = await client.completions.create(ask);
  let text = "";
  let usage;
  for await (const chunk of await client.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.text ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].text);
  assert.deepEqual(usage, whole.usage);
  assert.equal(usage.completion_tokens, 24);
});

test("an error inside a completion's stream reaches the application", async () => {
  const stream = await client.completions.create({ model: "error-event", prompt: "x", max_tokens: 24, stream: true });
  await assert.rejects(
    async () => {
      for await (const chunk of stream) assert.ok(chunk.choices);
    },
    (error) => error instanceof OpenAI.APIError && /Lost/.test(error.message),
  );
});

test("moderations flag what they know", async () => {
  const { results } = await client.moderations.create({ input: ["hello", "I will kill you"] });
  assert.deepEqual(
    results.map((result) => result.flagged),
    [false, true],
  );
  assert.equal(results[1].categories.violence, true);
  assert.equal(Object.keys(results[0].category_scores).length, 13);
});
