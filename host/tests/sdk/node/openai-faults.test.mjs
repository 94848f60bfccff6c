// Faults that the official Node SDK meets otherwise than the Python SDK does (../test_openai_faults.py).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { metric, start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
defaults:
  latency: { constant: { first: 1ms, between: 1ms } }
  reply: { fixed: { text: one two three four five six seven eight nine ten } }
models:
  - { match: much-later, faults: [{ http-error: { status: 429, retry-after: 3m } }] }
  - { match: soon, faults: [{ http-error: { status: 429, retry-after: 5ms } }] }
  - { match: cut-reset, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: cut-close, faults: [{ cut: { how: close, at: token 4 } }] }
  - { match: truncated-json, faults: [{ truncated-json: { at: token 4 } }] }
  - { match: split-utf8, faults: [{ split-utf8: { at: token 4 } }] }
  - { match: empty-body, faults: [empty-body] }
  - { match: wrong-content-type, faults: [wrong-content-type] }
`;
const messages = [{ role: "user", content: "Hello" }];
const ATTEMPTS = 3; // the SDK's default is two retries

let server;

before(async () => {
  server = await start(SCENARIO);
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

/** Asks `model`; gives what came before the error, the error, how often the fault struck, and how often the SDK chose a delay itself. */
async function meet(model, stream) {
  const client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", logLevel: "off" });
  let backoffs = 0;
  // In the place of the SDK's own delay of half a second and more, which nobody wants to wait for.
  client.calculateDefaultRetryTimeoutMillis = () => (backoffs++, 1);
  const struck = () => metric(server.admin, "simwright_faults_total", `model="${model}"`);
  const earlier = await struck();
  let [came, error] = ["", null];
  try {
    const reply = await client.chat.completions.create({ model, messages, stream });
    if (!stream) came = reply;
    else for await (const chunk of reply) came += chunk.choices[0]?.delta?.content ?? "";
  } catch (raised) {
    error = raised;
  }
  return { came, error, attempts: (await struck()) - earlier, backoffs };
}

for (const stream of [false, true]) {
  const kind = stream ? "stream" : "whole reply";

  test(`more than a minute is not waited for, but retried after the SDK's own delay (${kind})`, async () => {
    const { error, attempts, backoffs } = await meet("much-later", stream);
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.deepEqual([attempts, backoffs], [ATTEMPTS, ATTEMPTS - 1]);
  });

  test(`less than a minute is waited for as asked (${kind})`, async () => {
    const { error, attempts, backoffs } = await meet("soon", stream);
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.deepEqual([attempts, backoffs], [ATTEMPTS, 0]);
  });
}

for (const model of ["cut-reset", "cut-close"]) {
  test(`a whole reply that breaks off is not retried, and no error of the SDK (${model})`, async () => {
    const { error, attempts } = await meet(model, false);
    assert.ok(error instanceof TypeError && !(error instanceof OpenAI.APIError), String(error));
    assert.equal(attempts, 1);
  });
}

test("an event without its blank line is read, and its broken JSON noticed", async () => {
  const { came, error, attempts } = await meet("truncated-json", true);
  assert.ok(error instanceof SyntaxError, String(error));
  assert.deepEqual([came, attempts], ["one two three four", 1]);
});

test("a character that is split between two events is replaced without a word", async () => {
  const { came, error } = await meet("split-utf8", true);
  assert.equal(error, null);
  assert.ok(came.startsWith("one two three four five") && came.includes("\ufffd") && came.endsWith("ten"), came);
  const whole = await meet("split-utf8", false);
  assert.equal(whole.error, null);
  assert.ok(whole.came.choices[0].message.content.includes("\ufffd"));
});

test("a whole reply without a body is nothing, and no error", async () => {
  const { came, error, attempts } = await meet("empty-body", false);
  assert.deepEqual([came ?? null, error, attempts], [null, null, 1]);
});

test("a whole reply that calls itself HTML is handed on as text, and a stream is read as ever", async () => {
  const whole = await meet("wrong-content-type", false);
  assert.equal(typeof whole.came, "string");
  assert.equal(JSON.parse(whole.came).choices[0].finish_reason, "stop");
  const stream = await meet("wrong-content-type", true);
  assert.deepEqual([stream.came, stream.error], ["one two three four five six seven eight nine ten", null]);
});
