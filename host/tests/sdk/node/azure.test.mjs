// The official Node SDK against Azure's form of the API: what differs from OpenAI's own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI, { AzureOpenAI } from "openai";

import { metric, start } from "./server.mjs";

const WORDS = "one two three four five six seven eight nine ten";
const SCENARIO = `
simwright: 1
seed: 20
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
  - { match: mini }
  - { match: plain, reply: { text: { tokens: 24 } } }
  - { match: filtered-prompt, faults: [{ http-error: { status: 400, code: content_filter } }] }
  - { match: filtered-reply, faults: [{ content-filter: { at: token 4 } }] }
  - { match: busy, faults: [{ http-error: { status: 429, retry-after: 5ms, retry-as: milliseconds } }] }
  - { match: recovers, faults: [{ script: [{ http-error: { status: 429, retry-after: 5ms, retry-as: milliseconds } }, { http-error: { status: 500 } }] }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 4 } }] }
`;
const messages = [{ role: "user", content: "Say hello to the whole crew, please." }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new AzureOpenAI({ endpoint: server.api, apiKey: "key", apiVersion: "2024-10-21", logLevel: "off" });
  // In the place of the SDK's own delay of half a second and more, which nobody wants to wait for.
  client.calculateDefaultRetryTimeoutMillis = () => 1;
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

test("a whole reply tells what filters found", async () => {
  const { data, response } = await client.chat.completions.create({ model: "mini", messages }).withResponse();
  assert.ok(response.headers.get("apim-request-id") && response.headers.get("x-ms-region"));
  const [choice] = data.choices;
  assert.deepEqual([choice.message.content, choice.finish_reason], [WORDS, "stop"]);
  assert.deepEqual(choice.content_filter_results.hate, { filtered: false, severity: "safe" });
  assert.equal(data.prompt_filter_results[0].prompt_index, 0);
});

test("a stream begins with what filters found in the prompt", async () => {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ model: "mini", messages, stream: true })) chunks.push(chunk);
  const [first, ...others] = chunks;
  assert.deepEqual([first.id, first.model, first.choices.length, first.prompt_filter_results.length], ["", "", 0, 1]);
  assert.equal(others.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), WORDS);
});

test("a tool is called", async () => {
  const tools = [{ type: "function", function: { name: "look_up", parameters: schema, strict: true } }];
  const ask = { model: "plain", messages, tools, tool_choice: "required" };
  const [call] = (await client.chat.completions.create(ask)).choices[0].message.tool_calls;
  assert.deepEqual([call.function.name, typeof JSON.parse(call.function.arguments).city], ["look_up", "string"]);
});

test("a filter has its place in refusals and replies", async () => {
  await assert.rejects(client.chat.completions.create({ model: "filtered-prompt", messages }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.deepEqual([error.code, error.param, error.error.innererror.code], ["content_filter", "prompt", "ResponsibleAIPolicyViolation"]);
    return true;
  });
  const { choices } = await client.chat.completions.create({ model: "filtered-reply", messages });
  assert.deepEqual([choices[0].finish_reason, choices[0].content_filter_results.hate.filtered], ["content_filter", true]);
});

for (const stream of [false, true]) {
  test(`a limit is waited for and tried again (${stream ? "stream" : "whole reply"})`, async () => {
    const before = await struck("busy");
    await assert.rejects(client.chat.completions.create({ model: "busy", messages, stream }), OpenAI.RateLimitError);
    assert.equal((await struck("busy")) - before, 3);
  });
}

test("two failures by script are two retries", async () => {
  const reply = await client.chat.completions.create({ model: "recovers", messages });
  assert.deepEqual([reply.choices[0].message.content, await struck("recovers")], [WORDS, 2]);
});

test("what breaks inside a stream is not retried", async () => {
  let came = "";
  const read = async () => {
    for await (const chunk of await client.chat.completions.create({ model: "cut", messages, stream: true })) {
      came += chunk.choices[0]?.delta?.content ?? "";
    }
  };
  await assert.rejects(read());
  assert.deepEqual([came, await struck("cut")], ["one two three four", 1]);
});

test("completions and vectors have deployments, too", async () => {
  assert.equal((await client.completions.create({ model: "mini", prompt: "Count", max_tokens: 20 })).choices[0].text, WORDS);
  const { data } = await client.embeddings.create({ model: "mini", input: ["a", "a"] });
  assert.deepEqual(data[0].embedding, data[1].embedding);
});

test("responses have no deployment in their path", async () => {
  const reply = await client.responses.create({ model: "mini", input: "Count" });
  assert.equal(reply.output_text, WORDS);
});

test("an unknown deployment is not found", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nobody", messages }), (error) => {
    return error instanceof OpenAI.NotFoundError && error.code === "DeploymentNotFound";
  });
});

test("the newer form is OpenAI's own", async () => {
  const plain = new OpenAI({ baseURL: `${server.api}/openai/v1`, apiKey: "key" });
  assert.equal((await plain.chat.completions.create({ model: "mini", messages })).choices[0].message.content, WORDS);
});
