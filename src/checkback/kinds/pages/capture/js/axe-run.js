// Runs axe, which was put into this isolated world before, and keeps what a report can show.
async ({ options, mostNodes }) => {
  const result = await axe.run(document, options);
  const cut = (value, length) => String(value ?? "").slice(0, length);
  // Where an element stands on the page. One in a shadow tree has a selector for each tree, and no box here.
  const box = (target) => {
    if (target.length !== 1 || typeof target[0] !== "string") return [];
    const element = document.querySelector(target[0]);
    if (!element) return [];
    const place = element.getBoundingClientRect();
    const root = document.scrollingElement || document.documentElement;
    return [place.x + root.scrollLeft, place.y + root.scrollTop, place.width, place.height].map(Math.round);
  };
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
        box: box(node.target),
        summary: cut(node.failureSummary, 300),
      })),
    })),
  };
}
