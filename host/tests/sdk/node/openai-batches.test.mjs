// The official Node SDK's files and batches, and those of Anthropic's.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { toFile } from "openai";

import { start } from "./server.mjs";

const SCENARIO = `
simwright: 1
seed: 20
tokens: exact
defaults: { latency: { constant: { first: 1ms, between: 1ms } }, reply: { text: { tokens: 8 } } }
models:
  - { match: plain }
  - { match: slow, latency: { constant: { first: 20ms, between: 20ms } } }
  - { match: refused, faults: [{ http-error: { status: 400 } }] }
`;
const messages = [{ role: "user", content: "Say hello to the whole crew, please." }];

let server;
let client;
let claude;

before(async () => {
  server = await start(SCENARIO);
  client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: "any", maxRetries: 0 });
  claude = new Anthropic({ baseURL: server.api, apiKey: "any", maxRetries: 0 }).messages.batches;
});

after(async () => {
  assert.equal(await server.stop(), 0);
});

const lines = (models) =>
  models
    .map((model, index) => ({ custom_id: `${model}-${index}`, method: "POST", url: "/v1/chat/completions", body: { model, messages } }))
    .map((line) => JSON.stringify(line))
    .join("\n");
const upload = async (models) => client.files.create({ file: await toFile(Buffer.from(lines(models)), "in.jsonl"), purpose: "batch" });
const create = async (models) => {
  const { id } = await upload(models);
  return client.batches.create({ input_file_id: id, endpoint: "/v1/chat/completions", completion_window: "24h" });
};
const read = async (file) => (await (await client.files.content(file)).text()).trim().split("\n").map((line) => JSON.parse(line));

/** What `look` gives once it is over. */
async function until(look, isOver) {
  for (;;) {
    const seen = await look();
    if (isOver(seen)) return seen;
  }
}
const over = ({ id }) => until(() => client.batches.retrieve(id), ({ status }) => /^(completed|failed|cancelled|expired)$/.test(status));

test("a file is kept until it is deleted", async () => {
  const file = await upload(["plain"]);
  assert.deepEqual([file.object, file.filename, file.purpose], ["file", "in.jsonl", "batch"]);
  assert.deepEqual(await client.files.retrieve(file.id), file);
  assert.equal(await (await client.files.content(file.id)).text(), lines(["plain"]));
  const seen = [];
  for await (const { id } of client.files.list({ purpose: "batch" })) seen.push(id);
  assert.ok(seen.includes(file.id));
  assert.ok((await client.files.delete(file.id)).deleted);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test("a batch is answered line by line", async () => {
  const batch = await over(await create(Array(30).fill("plain")));
  assert.deepEqual([batch.status, batch.request_counts], ["completed", { total: 30, completed: 30, failed: 0 }]);
  const answers = await read(batch.output_file_id);
  assert.deepEqual(new Set(answers.map((answer) => answer.custom_id)).size, 30);
  assert.ok(answers.every(({ response }) => response.status_code === 200 && response.body.usage.completion_tokens === 8));
});

test("what is refused is in a file of its own", async () => {
  const batch = await over(await create(["refused"]));
  assert.deepEqual(batch.request_counts, { total: 1, completed: 0, failed: 1 });
  const [line] = await read(batch.error_file_id);
  assert.deepEqual([line.response.status_code, line.response.body.error.type], [400, "invalid_request_error"]);
});

test("a wrong input fails with its line", async () => {
  const batch = await over(await create(["plain", "slow"]));
  assert.equal(batch.status, "failed");
  assert.deepEqual(batch.errors.data.map(({ line, code }) => [line, code]), [[2, "mismatched_model"]]);
});

test("a batch is cancelled", async () => {
  const begun = await create(Array(200).fill("slow"));
  assert.equal((await client.batches.cancel(begun.id)).status, "cancelling");
  assert.equal((await over(begun)).status, "cancelled");
  await assert.rejects(client.batches.cancel(begun.id), OpenAI.ConflictError);
});

test("batches are listed, the latest first", async () => {
  const begun = await create(["plain"]);
  const [first] = (await client.batches.list({ limit: 1 })).data;
  assert.equal(first.id, begun.id);
});

test("a message batch is answered", async () => {
  const requests = ["plain", "plain", "refused"].map((model, index) => ({
    custom_id: String(index),
    params: { model, max_tokens: 50, messages },
  }));
  const begun = await claude.create({ requests });
  const batch = await until(() => claude.retrieve(begun.id), ({ processing_status }) => processing_status === "ended");
  assert.deepEqual([batch.request_counts.succeeded, batch.request_counts.errored], [2, 1]);
  const results = {};
  for await (const { custom_id, result } of await claude.results(batch.id)) results[custom_id] = result;
  assert.deepEqual(["0", "1", "2"].map((id) => results[id].type), ["succeeded", "succeeded", "errored"]);
  assert.equal(results["0"].message.usage.output_tokens, 8);
  assert.equal(results["2"].error.error.type, "invalid_request_error");
  assert.equal((await claude.delete(batch.id)).type, "message_batch_deleted");
});
