// Plays a Node program beside ours: one JSON line for each call that the test makes, and one for its answer.
// Arguments: the folder with node_modules, the path of Valkey's socket, the prefix of the keys.
import { createInterface } from "node:readline";

import { closeAll } from "./connection.mjs";
import { tell } from "./lines.mjs";
import * as producer from "./producer.mjs";
import * as statusHandler from "./status_handler.mjs";
import * as worker from "./worker.mjs";

const calls = { ...producer, ...statusHandler, ...worker };

async function answer({ number, call, args }) {
  try {
    tell({ number, value: (await calls[call](args)) ?? null });
  } catch (error) {
    tell({ number, error: String(error?.message ?? error) });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  void answer(JSON.parse(line));
}
await closeAll();
process.exit(0);
