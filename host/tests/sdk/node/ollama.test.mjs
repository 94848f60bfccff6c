// Ollama's official Node SDK: chat, generate, vectors, thoughts, tools, models, errors.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Ollama } from "ollama";

import { metric, start } from "./server.mjs";

const WORDS = "one two three four five six seven eight nine ten";
const SCENARIO = `
simwright: 1
seed: 20
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
  - { match: plain, list: [plain], context-window: 4096, reply: { text: { tokens: 24 } } }
  - { match: words }
  - { match: slow, latency: { constant: { first: 1ms, between: 50ms } } }
  - { match: thinker, reply: { fixed: { text: So be it., reasoning: Let me think. } } }
  - match: tools
    reply: { tool-calls: { call: [get_weather], answer: { fixed: { text: It rains. } } } }
  - { match: busy, faults: [{ http-error: { status: 503, retry-after: 5ms } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: cut-end, faults: [{ cut: { how: end, at: token 4 } }] }
`;
const messages = [{ role: "user", content: "Say hello to the whole crew, please." }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new Ollama({ host: server.api });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

test("a chat streams the same reply in pieces, and tells what it took", async () => {
  const whole = await client.chat({ model: "plain", messages });
  assert.deepEqual([whole.done, whole.done_reason, whole.eval_count, whole.message.role], [true, "stop", 24, "assistant"]);
  assert.ok(whole.total_duration >= whole.eval_duration && whole.prompt_eval_count > 0);
  const parts = [];
  for await (const part of await client.chat({ model: "plain", messages, stream: true })) parts.push(part);
  assert.equal(parts.map((part) => part.message.content).join(""), whole.message.content);
  assert.deepEqual([parts.length, parts.filter((part) => part.done).length, parts.at(-1).eval_count], [25, 1, 24]);
});

test("a prompt is continued, whole and streamed", async () => {
  const whole = await client.generate({ model: "words", prompt: "Count" });
  assert.deepEqual([whole.response, whole.done_reason], [WORDS, "stop"]);
  let text = "";
  for await (const part of await client.generate({ model: "words", prompt: "Count", stream: true })) text += part.response;
  assert.equal(text, WORDS);
});

test("a bound ends a reply, and says so", async () => {
  const { message, done_reason } = await client.chat({ model: "words", messages, options: { num_predict: 4 } });
  assert.deepEqual([message.content, done_reason], ["one two three four", "length"]);
});

test("thoughts are shown apart", async () => {
  const { message } = await client.chat({ model: "thinker", messages, think: true });
  assert.deepEqual([message.thinking, message.content], ["Let me think.", "So be it."]);
});

test("a tool is called with an object, and its result answered", async () => {
  const tools = [{ type: "function", function: { name: "get_weather", description: "The weather.", parameters } }];
  const { message } = await client.chat({ model: "tools", messages, tools });
  const [call] = message.tool_calls;
  assert.deepEqual([call.function.name, typeof call.function.arguments.city], ["get_weather", "string"]);
  const said = [...messages, message, { role: "tool", tool_name: "get_weather", content: "rain" }];
  assert.equal((await client.chat({ model: "tools", messages: said, tools })).message.content, "It rains.");
});

test("a format is a schema", async () => {
  const { message } = await client.chat({ model: "plain", messages, format: parameters });
  assert.equal(typeof JSON.parse(message.content).city, "string");
});

test("texts have vectors", async () => {
  const { embeddings } = await client.embed({ model: "plain", input: ["a", "b", "a"] });
  assert.deepEqual(embeddings[0], embeddings[2]);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
});

test("models are listed, shown, pulled, and the version told", async () => {
  const { models } = await client.list();
  assert.ok(models.some(({ name }) => name.startsWith("plain")), JSON.stringify(models));
  const { capabilities, model_info } = await client.show({ model: "plain" });
  assert.ok(capabilities.includes("completion") && Object.values(model_info).includes(4096));
  const states = [];
  for await (const { status } of await client.pull({ model: "plain", stream: true })) states.push(status);
  assert.equal(states.at(-1), "success");
  assert.match((await client.version()).version, /^\d+\.\d+/);
});

for (const stream of [false, true]) {
  test(`a refusal is an error with its status, and never retried (${stream ? "stream" : "whole reply"})`, async () => {
    const before = await struck("busy");
    await assert.rejects(client.chat({ model: "busy", messages, stream }), { name: "ResponseError", status_code: 503 });
    assert.equal((await struck("busy")) - before, 1);
  });
}

test("an unknown model is not found", async () => {
  await assert.rejects(client.chat({ model: "nobody", messages }), (error) => error.status_code === 404 && /not found/.test(error.error));
});

for (const [model, check] of [["error-event", /Lost/], ["cut", /./], ["cut-end", /Did not receive done/]]) {
  test(`what breaks inside a stream reaches the application once (${model})`, async () => {
    let came = "";
    const read = async () => {
      for await (const part of await client.chat({ model, messages, stream: true })) came += part.message.content;
    };
    await assert.rejects(read(), (error) => check.test(error.message));
    assert.deepEqual([came, await struck(model)], ["one two three four", 1]);
  });
}

test("a stream is aborted", async () => {
  const stream = await client.chat({ model: "slow", messages, stream: true });
  const read = async () => {
    for await (const _ of stream) stream.abort();
  };
  await assert.rejects(read(), { name: "AbortError" });
});
