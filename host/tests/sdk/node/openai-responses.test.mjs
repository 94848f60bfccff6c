// The official Node SDK's Responses: replies, streams, parsed output, conversations, and what is asked about them later.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
defaults: { latency: { constant: { first: 2ms, between: 1ms } }, reply: { text: { tokens: 24 } } }
models:
  - { match: plain, list: [plain] }
  - { match: error-event, faults: [{ error-event: { at: 50%, message: Lost } }] }
  - { match: cut, faults: [{ cut: { at: 50%, how: reset } }] }
`;
const input = "Say hello to the whole crew, please.";
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", maxRetries: 0 });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

async function textOf(stream) {
  let text = "";
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  return text;
}

test("a stream is the same response in pieces", async () => {
  const whole = await client.responses.create({ model: "plain", input });
  assert.equal(whole.status, "completed");
  assert.equal(whole.usage.output_tokens, 24);
  const stream = await client.responses.create({ model: "plain", input, stream: true });
  assert.equal(await textOf(stream), whole.output_text);
});

test("the streaming helper gathers the final response", async () => {
  const stream = client.responses.stream({ model: "plain", input });
  const text = await textOf(stream);
  const final = await stream.finalResponse();
  assert.equal(final.output_text, text);
});

test("parsed output fits its schema", async () => {
  const format = { type: "json_schema", name: "trip", schema, strict: true };
  const reply = await client.responses.parse({ model: "plain", input, text: { format } });
  assert.equal(typeof JSON.parse(reply.output_text).city, "string");
});

test("a function is called, answered, and the conversation goes on", async () => {
  const tools = [{ type: "function", name: "get_weather", parameters: schema, strict: true }];
  const first = await client.responses.create({ model: "plain", input, tools, tool_choice: "required" });
  const call = first.output.find((item) => item.type === "function_call");
  assert.equal(typeof JSON.parse(call.arguments).city, "string");
  const result = { type: "function_call_output", call_id: call.call_id, output: "rain" };
  const second = await client.responses.create({ model: "plain", input: [result], tools, previous_response_id: first.id });
  assert.equal(second.previous_response_id, first.id);
});

test("a response is retrieved, listed and deleted", async () => {
  const made = await client.responses.create({ model: "plain", input });
  assert.equal((await client.responses.retrieve(made.id)).output_text, made.output_text);
  const items = [];
  for await (const item of client.responses.inputItems.list(made.id)) items.push(item);
  assert.equal(items[0].content[0].text, input);
  await assert.rejects(client.responses.cancel(made.id), OpenAI.BadRequestError);
  await client.responses.delete(made.id);
  await assert.rejects(client.responses.retrieve(made.id), OpenAI.NotFoundError);
  const count = await client.responses.inputTokens.count({ model: "plain", input });
  assert.equal(count.input_tokens, made.usage.input_tokens);
});

test("an error inside a stream is thrown, and so is its break", async () => {
  for (const [model, kind] of [["error-event", OpenAI.APIError], ["cut", Error]]) {
    const stream = await client.responses.create({ model, input, stream: true });
    await assert.rejects(textOf(stream), kind);
  }
});
