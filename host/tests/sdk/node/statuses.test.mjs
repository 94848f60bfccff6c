// Every status as the official Node SDKs of OpenAI and Anthropic meet it: its exception, and how often they try.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { metric, start } from "./server.mjs";

const ATTEMPTS = 3; // the default of both is two retries
const STATUSES = {
  400: ["BadRequestError", 1],
  401: ["AuthenticationError", 1],
  403: ["PermissionDeniedError", 1],
  404: ["NotFoundError", 1],
  408: ["APIError", ATTEMPTS],
  409: ["ConflictError", ATTEMPTS],
  422: ["UnprocessableEntityError", 1],
  429: ["RateLimitError", ATTEMPTS],
  500: ["InternalServerError", ATTEMPTS],
  502: ["InternalServerError", ATTEMPTS],
  503: ["InternalServerError", ATTEMPTS],
  504: ["InternalServerError", ATTEMPTS],
  529: ["InternalServerError", ATTEMPTS],
};
const SCENARIO = `
simwright: 1
seed: 20
models:
${Object.keys(STATUSES).map((status) => `  - { match: status-${status}, faults: [{ http-error: { status: ${status}, retry-after: 5ms, retry-as: milliseconds } }] }`).join("\n")}
  - { match: never, faults: [{ http-error: { status: 503, should-retry: false } }] }
  - { match: always, faults: [{ http-error: { status: 400, should-retry: true, retry-after: 5ms, retry-as: milliseconds } }] }
`;
const messages = [{ role: "user", content: "Hello" }];

let server;
let asks;

before(async () => {
  server = await start(SCENARIO);
  const openai = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", logLevel: "off" });
  const anthropic = new Anthropic({ baseURL: server.api, apiKey: "any", logLevel: "off" });
  asks = {
    "chat completions": (model, stream) => openai.chat.completions.create({ model, messages, stream }),
    responses: (model, stream) => openai.responses.create({ model, input: "Hello", stream }),
    messages: (model, stream) => anthropic.messages.create({ model, messages, max_tokens: 9, stream }),
  };
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

/** Asks for `model`, whole and as a stream; gives the errors and how often the fault struck for each. */
async function meet(way, model) {
  const met = [];
  for (const stream of [false, true]) {
    const earlier = await struck(model);
    const error = await asks[way](model, stream).then(() => null, (raised) => raised);
    met.push([error, (await struck(model)) - earlier]);
  }
  return met;
}

for (const [way, sdk] of [["chat completions", OpenAI], ["responses", OpenAI], ["messages", Anthropic]]) {
  for (const [status, [name, wanted]] of Object.entries(STATUSES)) {
    test(`${status} is ${wanted > 1 ? "retried twice" : "not retried"} (${way})`, async () => {
      for (const [error, attempts] of await meet(way, `status-${status}`)) {
        assert.ok(error instanceof sdk[name], String(error));
        assert.deepEqual([error.status, attempts], [Number(status), wanted]);
        assert.ok(error.requestID, "the error has no id of its request");
      }
    });
  }

  test(`what the server says of retries goes before the status (${way})`, async () => {
    for (const [error, attempts] of await meet(way, "never")) assert.deepEqual([error.status, attempts], [503, 1]);
    for (const [error, attempts] of await meet(way, "always")) assert.deepEqual([error.status, attempts], [400, ATTEMPTS]);
  });
}
