// Starts the real server with a scenario of the test's own.

import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");
const program = process.env.SIMWRIGHT_BIN ?? join(root, "target/debug/simwright");

/** Gives the server's addresses and a function that stops it and gives its exit code. */
export async function start(scenario) {
  const file = join(mkdtempSync(join(tmpdir(), "simwright-")), "scenario.yaml");
  writeFileSync(file, scenario);
  const child = spawn(program, ["serve", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "off"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((done) => child.once("exit", done));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, api, admin] = line.match(/^ready api=(\S+) admin=(\S+)$/);
    const stop = () => (child.kill(), ended);
    return { api, admin, stop };
  }
  throw new Error(`the server did not start: exit code ${await ended}`);
}

/** The sum of all samples of `name` in /metrics whose line has every one of `labels`. */
export async function metric(admin, name, ...labels) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
