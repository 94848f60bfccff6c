// Realtime sessions of the official Node SDK, over its WebSocket for Node.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";

import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

import { start } from "./server.mjs";

const WORDS = "one two three four five six seven eight nine ten";
const SCENARIO = `
simwright: 1
seed: 20
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { fixed: { text: ${WORDS} } } }
models:
  - { match: words }
  - { match: plain, reply: { text: { tokens: 24 } } }
  - { match: slow, latency: { constant: { first: 20ms, between: 20ms } } }
  - { match: wrong, faults: [{ http-error: { status: 400 } }] }
  - { match: busy, faults: [{ http-error: { status: 429 } }] }
  - { match: error-event, faults: [{ error-event: { at: token 4, message: Lost } }] }
  - { match: cut, faults: [{ cut: { how: close, at: token 4 } }] }
`;
// The SDK knows TLS only, which is left to a proxy here: what it opens as TLS is a plain socket.
const options = { createConnection: ({ host, port }) => connect({ host, port }) };
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

let server;
let client;

before(async () => {
  server = await start(SCENARIO);
  client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any" });
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

/** Opens a session; what happens in it is read with `until`, which gives all events up to one of the kind. */
async function open(model) {
  const session = new OpenAIRealtimeWS({ model, options }, client);
  const events = [];
  const errors = [];
  let wake = () => {};
  const tell = (list) => (value) => (list.push(value), wake());
  session.on("event", tell(events));
  session.on("error", tell(errors));
  let isClosed = false;
  session.socket.on("close", () => ((isClosed = true), wake()));
  const until = async (kind) => {
    const seen = [];
    for (;;) {
      while (events.length > 0) {
        seen.push(events.shift());
        if (seen.at(-1).type === kind) return seen;
      }
      if (isClosed) return seen;
      await new Promise((resolve) => (wake = resolve));
    }
  };
  await until("session.created");
  return { session, errors, until, isClosed: () => isClosed };
}

const user = (text) => ({
  type: "conversation.item.create",
  item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
});
const text = (events) => events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join("");

test("a turn has every event in order", async () => {
  const { session, until } = await open("words");
  session.send(user("Hello"));
  session.send({ type: "response.create" });
  const events = await until("response.done");
  assert.equal(text(events), WORDS);
  const order = events.map(({ type }) => type).filter((type, index, types) => type !== types[index - 1]);
  assert.deepEqual(order, [
    "conversation.item.added", "conversation.item.done", "response.created", "response.output_item.added", "conversation.item.added",
    "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done",
    "conversation.item.done", "response.output_item.done", "response.done",
  ]);
  const { response } = events.at(-1);
  assert.deepEqual([response.status, response.output[0].content[0].text], ["completed", WORDS]);
  assert.equal(response.usage.input_tokens + response.usage.output_tokens, response.usage.total_tokens);
  session.close();
});

test("a conversation grows by its turns", async () => {
  const { session, until } = await open("plain");
  const counts = [];
  for (const turn of ["Hello", "And then?"]) {
    session.send(user(turn));
    session.send({ type: "response.create" });
    counts.push((await until("response.done")).at(-1).response.usage.input_tokens);
  }
  assert.ok(counts[1] > counts[0] + 24, counts.join());
  session.close();
});

test("a session is updated, and a function called and answered", async () => {
  const { session, until } = await open("plain");
  const tools = [{ type: "function", name: "get_weather", description: "The weather of a city.", parameters }];
  session.send({ type: "session.update", session: { type: "realtime", instructions: "Be brief.", tools } });
  assert.equal((await until("session.updated")).at(-1).session.instructions, "Be brief.");
  session.send(user("The weather in Paris?"));
  session.send({ type: "response.create", response: { tool_choice: "required" } });
  const events = await until("response.done");
  const [call] = events.at(-1).response.output;
  assert.deepEqual([call.type, call.name, typeof JSON.parse(call.arguments).city], ["function_call", "get_weather", "string"]);
  const pieces = events.filter(({ type }) => type === "response.function_call_arguments.delta").map(({ delta }) => delta);
  assert.equal(pieces.join(""), call.arguments);
  session.send({ type: "conversation.item.create", item: { type: "function_call_output", call_id: call.call_id, output: "sunny" } });
  session.send({ type: "response.create", response: { tool_choice: "none" } });
  assert.ok(text(await until("response.done")));
  session.close();
});

test("a response is cancelled", async () => {
  const { session, until } = await open("slow");
  session.send(user("Hello"));
  session.send({ type: "response.create" });
  await until("response.output_text.delta");
  session.send({ type: "response.cancel" });
  const { response } = (await until("response.done")).at(-1);
  assert.deepEqual([response.status, response.status_details.reason], ["cancelled", "client_cancelled"]);
  session.close();
});

test("a refusal is an error, and the session goes on", async () => {
  const { session, errors, until } = await open("wrong");
  for (const count of [1, 2]) {
    session.send({ type: "response.create" });
    await until("error");
    assert.equal(errors.length, count);
    assert.equal(errors.at(-1).error.type, "invalid_request_error");
  }
  session.close();
});

test("a limit fails the response, and the session goes on", async () => {
  const { session, errors, until } = await open("busy");
  for (let count = 0; count < 2; count += 1) {
    session.send({ type: "response.create" });
    const done = (await until("response.done")).at(-1).response;
    assert.equal(done.status, "failed");
    assert.equal(done.status_details.error.code, "rate_limit_exceeded");
  }
  assert.deepEqual(errors, []);
  session.close();
});

test("an error inside a response fails it", async () => {
  const { session, errors, until } = await open("error-event");
  session.send(user("Hello"));
  session.send({ type: "response.create" });
  const events = await until("response.done");
  assert.deepEqual([text(events), events.at(-1).response.status], ["one two three four", "failed"]);
  assert.equal(errors[0].error.message, "Lost");
  session.close();
});

test("a cut ends the connection", async () => {
  const { session, until, isClosed } = await open("cut");
  session.send(user("Hello"));
  session.send({ type: "response.create" });
  const events = await until("response.done");
  assert.equal(text(events), "one two three four");
  assert.ok(isClosed());
});

test("an unknown model is refused before the session", async () => {
  const session = new OpenAIRealtimeWS({ model: "nobody", options }, client);
  const error = await new Promise((resolve) => session.on("error", resolve));
  assert.match(String(error.cause ?? error), /404/);
});
