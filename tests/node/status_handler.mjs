// Plays a status tool that opens a queue for each question, reads the job, then its state, and closes the queue.
import { Job, Queue, options } from "./connection.mjs";

export async function status({ queue, id }) {
  const opened = new Queue(queue, options);
  try {
    const job = await Job.fromId(opened, id);
    if (!job) return null;
    const state = await job.getState();
    const { progress } = job;
    const isObject = typeof progress === "object" && progress !== null;
    return {
      state,
      progress: isObject ? progress.overallProgress : progress,
      phase: isObject ? progress.currentPhase : undefined,
      result: job.returnvalue,
      failedReason: job.failedReason,
      attemptsMade: job.attemptsMade,
      name: job.name,
      data: job.data,
      timestamp: job.timestamp,
      processedOn: job.processedOn,
      finishedOn: job.finishedOn,
    };
  } finally {
    await opened.close();
  }
}
