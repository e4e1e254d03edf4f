// Plays nothing itself: the BullMQ release under test, on the test's own Valkey.
import { createRequire } from "node:module";

const [packages, socket, password, prefix] = process.argv.slice(2);
const require = createRequire(`${packages}/package.json`);

export const { Job, Queue, QueueEvents, Worker } = require("bullmq");
const connection = { path: socket, username: "checkback", password, maxRetriesPerRequest: null };
export const options = { connection, prefix };

const closers = [];

// Close it when the program ends, the newest first.
export function keep(part) {
  part.on("error", (error) => console.error(error));
  closers.push(() => part.close());
  return part;
}

export async function closeAll() {
  for (const close of closers.reverse()) await close();
}

// One queue or feed of events for each name, opened when first asked for.
export function once(make) {
  const made = new Map();
  return (name) => {
    if (!made.has(name)) made.set(name, keep(make(name)));
    return made.get(name);
  };
}

export const queueOf = once((name) => new Queue(name, options));
