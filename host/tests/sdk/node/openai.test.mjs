// The official Node SDK: replies, streams, tools, errors, and retries exactly as scripted.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { metric, start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
defaults: { latency: { constant: { first: 2ms, between: 1ms } }, reply: { text: { tokens: 24 } } }
models:
  - { match: plain, list: [plain] }
  - match: twice-busy
    faults:
      - script: [{ http-error: { status: 429, retry-after: 20ms } }, { http-error: { status: 503 } }, pass]
  - { match: cut, faults: [{ cut: { at: 50%, how: reset } }] }
  - { match: error-event, faults: [{ error-event: { at: 50%, message: Lost } }] }
  - { match: refused, faults: [{ http-error: { status: 401 } }] }
`;
const messages = [{ role: "user", content: "Say hello to the whole crew, please." }];

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", maxRetries: 2 });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  return text;
}

test("a stream is the same reply in pieces", async () => {
  const whole = await client.chat.completions.create({ model: "plain", messages });
  assert.equal(whole.choices[0].finish_reason, "stop");
  assert.equal(whole.usage.completion_tokens, 24);
  const stream = await client.chat.completions.create({ model: "plain", messages, stream: true });
  assert.equal(await textOf(stream), whole.choices[0].message.content);
});

test("a tool is called with arguments that fit its schema", async () => {
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
  const reply = await client.chat.completions.create({ model: "plain", messages, tools, tool_choice: "required" });
  const [call] = reply.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
});

test("two failures by script are two retries, and the third attempt succeeds", async () => {
  const { data, response } = await client.chat.completions.create({ model: "twice-busy", messages }).withResponse();
  assert.equal(data.usage.completion_tokens, 24);
  assert.equal(response.status, 200);
  assert.equal(await metric(server.admin, "simwright_faults_total", 'model="twice-busy"'), 2);
  const impatient = client.withOptions({ maxRetries: 1 });
  await assert.rejects(impatient.chat.completions.create({ model: "twice-busy", messages }), OpenAI.InternalServerError);
});

test("a refusal that retrying does not help is not retried", async () => {
  await assert.rejects(client.chat.completions.create({ model: "refused", messages }), OpenAI.AuthenticationError);
  assert.equal(await metric(server.admin, "simwright_faults_total", 'model="refused"'), 1);
});

test("what breaks inside a stream reaches the application and is never retried", async () => {
  const cut = await client.chat.completions.create({ model: "cut", messages, stream: true });
  await assert.rejects(textOf(cut));
  assert.equal(await metric(server.admin, "simwright_faults_total", 'model="cut"'), 1);
  const lost = await client.chat.completions.create({ model: "error-event", messages, stream: true });
  await assert.rejects(textOf(lost), (error) => error instanceof OpenAI.APIError && /Lost/.test(error.message));
});

test("models are listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("plain"));
});
