// Vercel's AI SDK, whose OpenAI models are Responses unless it is told otherwise.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

import { start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
defaults: { latency: { constant: { first: 2ms, between: 1ms } }, reply: { text: { tokens: 24 } } }
models:
  - { match: plain }
  - match: clerk
    reply: { conversation: { steps: [{ tool-calls: { call: look_up } }, All is well.] } }
  - { match: error-event, faults: [{ error-event: { at: 50%, message: Lost } }] }
`;
const prompt = "Say hello to the whole crew, please.";

let server;
let openai;

before(async () => {
  server = await start(SCENARIO);
  openai = createOpenAI({ baseURL: `${server.api}/v1`, apiKey: "any" });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

test("a text is generated and streamed", async () => {
  const whole = await generateText({ model: openai("plain"), prompt });
  assert.equal(whole.finishReason, "stop");
  assert.equal(whole.usage.outputTokens, 24);
  const stream = streamText({ model: openai("plain"), prompt });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
});

test("chat completions are the same text", async () => {
  const whole = await generateText({ model: openai.chat("plain"), prompt });
  assert.equal(whole.usage.outputTokens, 24);
});

test("a conversation refers to what the server keeps", async () => {
  const first = await generateText({ model: openai("plain"), prompt });
  const messages = [{ role: "user", content: prompt }, ...first.response.messages, { role: "user", content: "And now?" }];
  const second = await generateText({ model: openai("plain"), messages });
  assert.ok(second.usage.inputTokens > first.usage.inputTokens + 24);
});

test("a tool is run and its result answered", async () => {
  const inputSchema = jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false });
  let asked = 0;
  const look_up = tool({ description: "Looks up.", inputSchema, execute: async () => `found ${++asked}` });
  const reply = await generateText({ model: openai("clerk"), prompt, tools: { look_up }, stopWhen: isStepCount(3) });
  assert.equal(asked, 1);
  assert.equal(reply.text, "All is well.");
});

test("an error inside a stream is told", async () => {
  const errors = [];
  const stream = streamText({ model: openai("error-event"), prompt, maxRetries: 0, onError: ({ error }) => errors.push(error) });
  for await (const _ of stream.textStream);
  assert.equal(errors.length, 1);
});
