// Runs axe, which was put into this isolated world before, and keeps what a report can show.
async ({ options, mostNodes }) => {
  const result = await axe.run(document, options);
  const cut = (value, length) => String(value ?? "").slice(0, length);
  return {
    engine: result.testEngine.version,
    passes: result.passes.length,
    incomplete: result.incomplete.map((rule) => ({ id: rule.id, count: rule.nodes.length })).slice(0, 50),
    violations: result.violations.slice(0, 100).map((rule) => ({
      id: rule.id,
      impact: rule.impact || "minor",
      help: cut(rule.help, 200),
      tags: rule.tags.slice(0, 20),
      count: rule.nodes.length,
      nodes: rule.nodes.slice(0, mostNodes).map((node) => ({
        selector: cut(node.target.flat().join(" "), 200),
        summary: cut(node.failureSummary, 300),
      })),
    })),
  };
}
