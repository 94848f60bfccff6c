// Faults as Vercel's AI SDK meets them, by OpenAI's Responses and chat completions, by Anthropic's messages; and Google's SDK by its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { ApiError, GoogleGenAI } from "@google/genai";
import { APICallError, RetryError, generateText, streamText } from "ai";

import { metric, start } from "./server.mjs";

// That nobody knows our models is no news.
globalThis.AI_SDK_LOG_WARNINGS = false;

const WORDS = "one two three four five six seven eight nine ten";
const FOUR = "one two three four";
const ATTEMPTS = 3; // the SDK's default is two retries
const STATUSES = [400, 401, 403, 404, 408, 409, 422, 429, 500, 503, 529];
const SCENARIO = `
simwright: 1
seed: 20
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
${STATUSES.map((status) => `  - { match: status-${status}, faults: [{ http-error: { status: ${status}, retry-after: 5ms, retry-as: milliseconds } }] }`).join("\n")}
  - { match: in-seconds, faults: [{ http-error: { status: 429, retry-after: 900ms, retry-as: seconds } }] }
  - { match: twice-busy, faults: [{ script: [{ http-error: { status: 429, retry-after: 5ms, retry-as: milliseconds } }, { http-error: { status: 503, retry-after: 5ms, retry-as: milliseconds } }] }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: malformed-chunk, faults: [{ malformed-chunk: { at: token 4 } }] }
  - { match: length, faults: [{ length: { at: token 4 } }] }
  - { match: content-filter, faults: [{ content-filter: { at: token 4 } }] }
  - { match: empty-body, faults: [empty-body] }
`;
// Attempts without a mark are known by their repetition, so each way asks for something else.
const promptOf = (way) => `Say hello to the whole crew of ${way}, please.`;

let server;
let ways;

before(async () => {
  server = await start(SCENARIO);
  const openai = createOpenAI({ baseURL: `${server.api}/v1`, apiKey: "any" });
  const anthropic = createAnthropic({ baseURL: `${server.api}/v1`, apiKey: "any" });
  ways = { responses: openai, chat: openai.chat, messages: anthropic };
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

/** Asks `model`; gives what came before the error, the error or null, why the reply ended, and how often the fault struck. */
async function meet(way, model, streams) {
  const earlier = await struck(model);
  let [came, error, reason] = ["", null, null];
  const prompt = promptOf(way);
  try {
    if (streams) {
      const stream = streamText({ model: ways[way](model), prompt, onError: (event) => (error = event.error) });
      for await (const piece of stream.textStream) came += piece;
      if (!error) reason = await stream.finishReason;
    } else {
      const reply = await generateText({ model: ways[way](model), prompt });
      [came, reason] = [reply.text, reply.finishReason];
    }
  } catch (raised) {
    error = raised;
  }
  return { came, error, reason, attempts: (await struck(model)) - earlier };
}

for (const way of ["responses", "chat", "messages"]) {
  for (const status of STATUSES) {
    const retried = [408, 409, 429].includes(status) || status >= 500;
    test(`${status} is ${retried ? "retried twice" : "not retried"} (${way})`, async () => {
      for (const streams of [false, true]) {
        const { came, error, attempts } = await meet(way, `status-${status}`, streams);
        const last = retried ? error.lastError : error;
        assert.equal(RetryError.isInstance(error), retried, String(error));
        assert.ok(APICallError.isInstance(last), String(last));
        assert.deepEqual([came, last.statusCode, last.isRetryable, attempts], ["", status, retried, retried ? ATTEMPTS : 1]);
      }
    });
  }

  test(`two failures by script are two retries (${way})`, async () => {
    const { came, attempts } = await meet(way, "twice-busy", false);
    assert.deepEqual([came, attempts], [WORDS, 2]);
  });

  test(`an error inside a stream is told once, after what came (${way})`, async () => {
    const { came, error, attempts } = await meet(way, "error-event", true);
    assert.deepEqual([came, attempts], [FOUR, 1]);
    assert.match(JSON.stringify(error.message ?? error), /Lost/);
  });

  test(`a cut stream is an error after what came (${way})`, async () => {
    const { came, error, attempts } = await meet(way, "cut", true);
    assert.deepEqual([came, attempts], [FOUR, 1]);
    assert.ok(error instanceof Error, String(error));
  });

  test(`a malformed event is an error after what came (${way})`, async () => {
    const { came, error, attempts } = await meet(way, "malformed-chunk", true);
    assert.ok(came.startsWith(FOUR), came);
    assert.ok(error instanceof Error, String(error));
    assert.equal(attempts, 1);
  });

  test(`an early finish has its reason (${way})`, async () => {
    for (const streams of [false, true]) {
      for (const [model, reason] of [["length", "length"], ["content-filter", "content-filter"]]) {
        const { came, error, reason: found } = await meet(way, model, streams);
        assert.deepEqual([came, error, found], [FOUR, null, reason]);
      }
    }
  });

  test(`an empty body is no reply (${way})`, async () => {
    const { error, attempts } = await meet(way, "empty-body", false);
    assert.ok(APICallError.isInstance(error), String(error));
    assert.equal(attempts, 1);
  });
}

test("the time to come back is kept in seconds, too", async () => {
  const begun = performance.now();
  const { attempts } = await meet("chat", "in-seconds", false);
  // Never early; how late says something about the machine only. A hundredth for clocks that disagree.
  assert.ok(performance.now() - begun >= 1990);
  assert.equal(attempts, ATTEMPTS);
});

// Google's SDK retries for who asks; without a delay of its own, nobody waits here.
const retryOptions = { attempts: ATTEMPTS, initialDelay: 0.001, maxDelay: 0.002 };

for (const status of STATUSES) {
  const retried = [408, 429, 500, 502, 503, 504].includes(status);
  test(`${status} is ${retried ? "retried for who asks" : "not retried"} (Google's SDK)`, async () => {
    for (const [options, attempts] of [[{}, 1], [{ retryOptions }, retried ? ATTEMPTS : 1]]) {
      const google = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: server.api, ...options } });
      for (const ask of ["generateContent", "generateContentStream"]) {
        const before = await struck(`status-${status}`);
        const error = await google.models[ask]({ model: `status-${status}`, contents: promptOf("Google") }).catch((raised) => raised);
        assert.ok(error instanceof ApiError, String(error));
        assert.deepEqual([error.status, (await struck(`status-${status}`)) - before], [status, attempts]);
      }
    }
  });
}
