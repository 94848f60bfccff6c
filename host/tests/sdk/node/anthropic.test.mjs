// Anthropic's official Node SDK, and Vercel's for the same API: replies, streams, tools, thoughts, errors, retries.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createAnthropic } from "@ai-sdk/anthropic";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { metric, start } from "./server.mjs";

// That nobody knows our models is no news.
globalThis.AI_SDK_LOG_WARNINGS = false;

const WORDS = "one two three four five six seven eight nine ten";
const SCENARIO = `
simwright: 1
seed: 20
api: { unknown-fields: reject }
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
  - { match: plain, list: [plain], reply: { text: { tokens: 24 } } }
  - { match: words }
  - { match: thinker, reply: { fixed: { text: So be it., reasoning: Let me think. } } }
  - match: tools
    reply: { tool-calls: { call: [get_weather], say: Let me look., answer: { fixed: { text: It rains. } } } }
  - { match: twice-busy, faults: [{ script: [{ http-error: { status: 429, retry-after: 5ms, retry-as: milliseconds } }, { http-error: { status: 529 } }] }] }
  - { match: overloaded, faults: [{ http-error: { status: 529 } }] }
  - { match: unpaid, faults: [{ http-error: { status: 401 } }] }
  - { match: spent, faults: [{ http-error: { status: 429, kind: quota, should-retry: false } }] }
  - { match: cut-whole, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: truncated-json, faults: [{ truncated-json: { at: token 4 } }] }
`;
const messages = [{ role: "user", content: "Say hello to the whole crew, please." }];
const ask = { model: "plain", max_tokens: 200, messages };
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const weather = { name: "get_weather", description: "The weather in a city.", input_schema };

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new Anthropic({ baseURL: server.api, apiKey: "any", logLevel: "off" });
  // In the place of the SDK's own delay of half a second and more, which nobody wants to wait for.
  client.calculateDefaultRetryTimeoutMillis = () => 1;
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

test("a message has everything, and a stream is the same in pieces", async () => {
  const { data, response, request_id } = await client.messages.create(ask).withResponse();
  assert.deepEqual([data.type, data.role, data.model, data.stop_reason], ["message", "assistant", "plain", "end_turn"]);
  assert.equal(data.usage.output_tokens, 24);
  assert.ok(request_id.startsWith("req_01") && response.headers.get("anthropic-organization-id"));
  const kinds = [];
  for await (const event of await client.messages.create({ ...ask, stream: true })) kinds.push(event.type);
  assert.deepEqual([...new Set(kinds)], [
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
  ]);
  const final = await client.messages.stream(ask).finalMessage();
  assert.deepEqual(final.content[0].text, data.content[0].text);
  assert.equal(final.usage.output_tokens, 24);
});

test("the older generation is spoken, too", async () => {
  const older = new Anthropic({ baseURL: server.api, apiKey: "any", defaultHeaders: { "anthropic-version": "2023-06-01", "x-api-key": "any" } });
  assert.equal((await older.messages.create({ ...ask, model: "words", temperature: 1 })).content[0].text, WORDS);
  await assert.rejects(client.messages.create({ ...ask, temperature: 1 }), Anthropic.BadRequestError);
});

test("a tool is used with input that fits, whole and streamed", async () => {
  const asked = { ...ask, tools: [weather], tool_choice: { type: "any" } };
  const whole = await client.messages.create(asked);
  assert.deepEqual([whole.stop_reason, whole.content[0].name, typeof whole.content[0].input.city], ["tool_use", "get_weather", "string"]);
  const streamed = await client.messages.stream(asked).finalMessage();
  assert.deepEqual(streamed.content[0].input, whole.content[0].input);
});

test("thoughts come signed before the text", async () => {
  const asked = { ...ask, model: "thinker", max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
  for (const message of [await client.messages.create(asked), await client.messages.stream(asked).finalMessage()]) {
    const [thoughts, text] = message.content;
    assert.deepEqual([thoughts.type, thoughts.thinking, text.text], ["thinking", "Let me think.", "So be it."]);
    assert.ok(thoughts.signature.length > 10);
  }
});

test("tokens are counted and models are listed", async () => {
  const { input_tokens } = await client.messages.countTokens({ model: "plain", messages });
  assert.equal(input_tokens, (await client.messages.create(ask)).usage.input_tokens);
  const names = [];
  for await (const model of client.models.list()) names.push([model.id, model.type, model.lifecycle]);
  assert.ok(names.some((name) => name.join() === "plain,model,active"), names.join("; "));
});

test("two failures by script are two retries, as often as the same is asked", async () => {
  for (const round of [1, 2]) {
    assert.equal((await client.messages.create({ ...ask, model: "twice-busy" })).content[0].text, WORDS);
    assert.equal(await struck("twice-busy"), 2 * round);
  }
  const impatient = client.withOptions({ maxRetries: 0 });
  await assert.rejects(impatient.messages.create({ ...ask, model: "twice-busy" }), Anthropic.RateLimitError);
});

test("a status is its error, and is retried or not", async () => {
  const meet = async (model) => {
    const before = await struck(model);
    const error = await client.messages.create({ ...ask, model }).catch((raised) => raised);
    return [error, (await struck(model)) - before];
  };
  const [overloaded, attempts] = await meet("overloaded");
  assert.ok(overloaded instanceof Anthropic.InternalServerError && overloaded.status === 529);
  assert.deepEqual([overloaded.error.error.type, attempts], ["overloaded_error", 3]);
  const [unpaid, once] = await meet("unpaid");
  assert.ok(unpaid instanceof Anthropic.AuthenticationError);
  assert.equal(once, 1);
  const [spent, never] = await meet("spent");
  assert.ok(spent instanceof Anthropic.RateLimitError);
  assert.deepEqual([spent.error.error.details.error_code, never], ["enforced_spend_limit_reached", 1]);
});

test("what breaks inside a stream reaches the application and is never retried", async () => {
  for (const [model, check] of [
    ["cut", (error) => error instanceof Error],
    ["error-event", (error) => error instanceof Anthropic.APIError && /Lost/.test(error.message)],
  ]) {
    let came = "";
    const read = async () => {
      for await (const event of await client.messages.create({ ...ask, model, stream: true })) came += event.delta?.text ?? "";
    };
    await assert.rejects(read(), check, model);
    assert.deepEqual([came, await struck(model)], ["one two three four", 1], model);
  }
});

test("an event without its blank line is lost without a word", async () => {
  let came = "";
  for await (const event of await client.messages.create({ ...ask, model: "truncated-json", stream: true })) came += event.delta?.text ?? "";
  assert.deepEqual([came, await struck("truncated-json")], ["one two three four", 1]);
});

// Vercel's SDK speaks the older generation, with `x-api-key`.
const vercel = (model) => createAnthropic({ baseURL: `${server.api}/v1`, apiKey: "any" })(model);
const prompt = "Say hello to the whole crew, please.";

test("Vercel's SDK generates and streams the same text", async () => {
  const whole = await generateText({ model: vercel("plain"), prompt });
  assert.deepEqual([whole.finishReason, whole.usage.outputTokens], ["stop", 24]);
  const stream = streamText({ model: vercel("plain"), prompt });
  assert.equal(await stream.text, whole.text);
  assert.equal((await stream.usage).outputTokens, 24);
});

test("Vercel's SDK runs a tool and hands its result back", async () => {
  const cities = [];
  const get_weather = tool({
    description: "The weather in a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => (cities.push(city), "rain"),
  });
  const reply = await generateText({ model: vercel("tools"), prompt, tools: { get_weather }, stopWhen: stepCountIs(3) });
  assert.deepEqual([reply.text, cities.length, typeof cities[0]], ["It rains.", 1, "string"]);
});

test("Vercel's SDK shows thoughts", async () => {
  const providerOptions = { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } };
  const reply = await generateText({ model: vercel("thinker"), prompt, providerOptions });
  assert.deepEqual([reply.reasoningText, reply.text], ["Let me think.", "So be it."]);
});

test("Vercel's SDK gets an object of a schema", async () => {
  const schema = z.object({ city: z.string(), days: z.number() });
  const { output } = await generateText({ model: vercel("plain"), prompt, output: Output.object({ schema }) });
  assert.equal(typeof output.city, "string");
});

test("Vercel's SDK tells a status as it is", async () => {
  await assert.rejects(generateText({ model: vercel("unpaid"), prompt, maxRetries: 0 }), (error) => {
    assert.ok(APICallError.isInstance(error), String(error));
    assert.deepEqual([error.statusCode, error.isRetryable], [401, false]);
    return true;
  });
});
