// Google's official Node SDK: replies, streams, functions, thoughts, vectors, errors, retries.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from "@google/genai";

import { metric, start } from "./server.mjs";

const WORDS = "one two three four five six seven eight nine ten";
const SCENARIO = `
simwright: 1
seed: 20
api: { unknown-fields: reject }
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
  - { match: plain, list: [plain], reply: { text: { tokens: 24 } } }
  - { match: thinker, reply: { fixed: { text: So be it., reasoning: Let me think. } } }
  - { match: refused, faults: [{ http-error: { status: 401 } }] }
  - { match: busy, faults: [{ http-error: { status: 503 } }] }
  - { match: twice-busy, faults: [{ script: [{ http-error: { status: 429 } }, { http-error: { status: 503 } }] }] }
  - { match: cut, faults: [{ cut: { how: reset, at: token 4 } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: blocked, faults: [{ content-filter: { at: start } }] }
`;
const contents = "Say hello to the whole crew, please.";

let server;
let client;
const clientOf = (options) => new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: server.api, ...options } });

before(async () => {
  server = await start(SCENARIO);
  client = clientOf({});
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const struck = (model) => metric(server.admin, "simwright_faults_total", `model="${model}"`);

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

for (const apiVersion of [undefined, "v1", "v1beta"]) {
  test(`a stream is the same response in pieces (${apiVersion ?? "the SDK's own version"})`, async () => {
    const client = clientOf(apiVersion ? { apiVersion } : {});
    const whole = await client.models.generateContent({ model: "plain", contents });
    assert.deepEqual([whole.candidates[0].finishReason, whole.usageMetadata.candidatesTokenCount], ["STOP", 24]);
    const chunks = await collect(await client.models.generateContentStream({ model: "plain", contents }));
    assert.equal(chunks.map((chunk) => chunk.text).join(""), whole.text);
    assert.deepEqual([chunks.length, chunks.at(-1).candidates[0].finishReason], [25, "STOP"]);
  });
}

test("a function is called with arguments that fit", async () => {
  const parameters = { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ["city"] };
  const config = {
    tools: [{ functionDeclarations: [{ name: "get_weather", parameters }] }],
    toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } },
  };
  const whole = await client.models.generateContent({ model: "plain", contents, config });
  const [call] = whole.functionCalls;
  assert.deepEqual([call.name, typeof call.args.city], ["get_weather", "string"]);
  const chunks = await collect(await client.models.generateContentStream({ model: "plain", contents, config }));
  assert.deepEqual(chunks.flatMap((chunk) => chunk.functionCalls ?? []), [call]);
});

test("thoughts are shown to who asks for them", async () => {
  const config = { thinkingConfig: { includeThoughts: true } };
  const { candidates, usageMetadata } = await client.models.generateContent({ model: "thinker", contents, config });
  const [thought, { thoughtSignature, ...said }] = candidates[0].content.parts;
  assert.deepEqual([thought, said], [{ text: "Let me think.", thought: true }, { text: "So be it." }]);
  assert.match(thoughtSignature, /^[A-Za-z0-9+/=]+$/);
  assert.ok(usageMetadata.thoughtsTokenCount > 0);
});

test("structured output fits its schema", async () => {
  const responseSchema = { type: Type.OBJECT, properties: { days: { type: Type.INTEGER } }, required: ["days"] };
  const config = { responseMimeType: "application/json", responseSchema };
  const { text } = await client.models.generateContent({ model: "plain", contents, config });
  assert.ok(Number.isInteger(JSON.parse(text).days));
});

test("tokens are counted, texts have vectors, models are listed", async () => {
  const { totalTokens } = await client.models.countTokens({ model: "plain", contents });
  assert.equal(totalTokens, (await client.models.generateContent({ model: "plain", contents })).usageMetadata.promptTokenCount);
  const config = { outputDimensionality: 16 };
  const { embeddings } = await client.models.embedContent({ model: "plain", contents: ["a", "b", "a"], config });
  assert.deepEqual([embeddings.length, embeddings[0].values.length], [3, 16]);
  assert.deepEqual(embeddings[0].values, embeddings[2].values);
  const names = [];
  for await (const model of await client.models.list()) names.push(model.name);
  assert.ok(names.includes("models/plain"), names.join());
  assert.equal((await client.models.get({ model: "plain" })).displayName, "plain");
});

test("a chat remembers", async () => {
  const chat = client.chats.create({ model: "plain" });
  const first = await chat.sendMessage({ message: "Hello" });
  const second = await chat.sendMessage({ message: "And more?" });
  assert.ok(second.usageMetadata.promptTokenCount > first.usageMetadata.promptTokenCount + 24);
});

test("a status is an error, which is retried for who asks", async () => {
  const meet = async (model, options) => {
    const before = await struck(model);
    const error = await clientOf(options).models.generateContent({ model, contents }).catch((raised) => raised);
    assert.ok(error instanceof ApiError, String(error));
    return [error.status, JSON.parse(error.message).error.status, (await struck(model)) - before];
  };
  const retryOptions = { attempts: 3, initialDelay: 0.001, maxDelay: 0.002 };
  assert.deepEqual(await meet("refused", { retryOptions }), [401, "UNAUTHENTICATED", 1]);
  assert.deepEqual(await meet("busy", {}), [503, "UNAVAILABLE", 1]);
  assert.deepEqual(await meet("busy", { retryOptions }), [503, "UNAVAILABLE", 3]);
  const { text } = await clientOf({ retryOptions }).models.generateContent({ model: "twice-busy", contents });
  assert.deepEqual([text, await struck("twice-busy")], [WORDS, 2]);
});

test("what breaks inside a stream reaches the application", async () => {
  for (const [model, check] of [["cut", (error) => error instanceof Error], ["error-event", (error) => error instanceof ApiError && /Lost/.test(error.message)]]) {
    let came = "";
    const read = async () => {
      for await (const chunk of await client.models.generateContentStream({ model, contents })) came += chunk.text ?? "";
    };
    await assert.rejects(read(), check, model);
    assert.equal(came, "one two three four", model);
  }
});

test("a prompt that is blocked has feedback and no candidate", async () => {
  const response = await client.models.generateContent({ model: "blocked", contents });
  assert.deepEqual([response.promptFeedback.blockReason, response.candidates, response.text], ["SAFETY", undefined, undefined]);
});
