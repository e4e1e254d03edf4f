// Plays a program that adds jobs and waits for their results, as ReftrixMCP does when an analysis is asked for.
import { Job, QueueEvents, once, options, queueOf } from "./connection.mjs";

const eventsOf = once((name) => new QueueEvents(name, options));

export async function add({ queue, name, data, opts }) {
  await eventsOf(queue).waitUntilReady();
  return (await queueOf(queue).add(name, data, opts)).id;
}

// What BullMQ's own wait tells at the end: the return value, or the reason of the failure.
export async function finished({ queue, id }) {
  const events = eventsOf(queue);
  await events.waitUntilReady();
  const job = await Job.fromId(queueOf(queue), id);
  try {
    return { result: await job.waitUntilFinished(events, 50_000) };
  } catch (error) {
    return { reason: error.message };
  }
}

// What it knows of the workers of a queue: the name and the number of the connection of each.
export async function workers({ queue }) {
  const found = await queueOf(queue).getWorkers();
  const count = await queueOf(queue).getWorkersCount();
  return { count, workers: found.map(({ id, rawname }) => ({ id, name: rawname })) };
}

export async function retry({ queue, id, opts }) {
  const job = await Job.fromId(queueOf(queue), id);
  await job.retry("failed", opts);
}

export async function remove({ queue, id }) {
  const job = await Job.fromId(queueOf(queue), id);
  await job.remove();
}

export async function logs({ queue, id }) {
  return (await queueOf(queue).getJobLogs(id)).logs;
}

export async function telemetry({ queue, id }) {
  return (await Job.fromId(queueOf(queue), id)).opts.telemetry;
}
