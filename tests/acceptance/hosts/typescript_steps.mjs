// Follows the steps that standard input lists, as a host does: lists the tools, then calls one after the other.
import { readFileSync } from "node:fs";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

// What a model would be shown of an answer.
function shown(result) {
  const blocks = (result.content ?? []).map((block) => (block.type === "image" ? "[image]" : (block.text ?? block.uri ?? "")));
  return [...blocks, JSON.stringify(result.structuredContent ?? null)].join("\n");
}

export async function drive(client, call) {
  const steps = JSON.parse(readFileSync(0, "utf8"));
  const { tools } = await client.listTools();
  const answers = [];
  for (const step of steps) {
    const args = { ...step.arguments };
    if (step.job_of) args.job_id = UUID.exec(answers[steps.findIndex((one) => one.name === step.job_of)])?.[0];
    try {
      answers.push(shown(await call(step.tool, args)));
    } catch (error) {
      answers.push(`thrown: ${error.message}`);
    }
  }
  console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), answers }));
}
