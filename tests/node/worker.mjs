// Plays another team's worker on the queue: takes jobs, and does with each what the test tells it to.
import { Worker, keep, options } from "./connection.mjs";
import { tell } from "./lines.mjs";

const running = new Map();

function process(job) {
  return new Promise((resolve, reject) => {
    running.set(job.id, { job, resolve, reject });
    tell({ event: "started", jobId: job.id, name: job.name, data: job.data });
  });
}

export async function work({ queue }) {
  const worker = keep(new Worker(queue, process, { ...options, drainDelay: 1 }));
  worker.on("completed", (job) => tell({ event: "completed", jobId: job.id }));
  worker.on("failed", (job, error) => tell({ event: "failed", jobId: job.id, reason: error.message }));
  await worker.waitUntilReady();
}

export async function report({ id, progress }) {
  await running.get(id).job.updateProgress(progress);
}

export function finish({ id, result }) {
  running.get(id).resolve(result);
}

export function fail({ id, reason }) {
  running.get(id).reject(new Error(reason));
}
