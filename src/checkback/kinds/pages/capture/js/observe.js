// Runs before the page's own scripts, in our isolated world: the page can neither see nor change it.
// Keeps what only an observer sees; measure.js reads it before we touch the page ourselves.
(() => {
  const seen = { lcp: null, cls: 0, shifts: [], longTasks: 0, blockedMs: 0 };
  globalThis.__checkback = seen;
  const name = (node) => {
    if (!node || node.nodeType !== 1) return "";
    const id = node.id ? "#" + node.id : "";
    return (node.localName + id).slice(0, 80);
  };
  const watch = (type, each) => {
    try {
      new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true });
    } catch { /* an entry type that this browser does not know */ }
  };
  watch("largest-contentful-paint", (entry) => {
    seen.lcp = { ms: entry.startTime, element: name(entry.element), size: entry.size };
  });
  let start = 0, last = 0, sum = 0;
  watch("layout-shift", (entry) => {
    if (entry.hadRecentInput) return;
    // Session windows, as the metric is defined: gaps under 1 s, at most 5 s long.
    if (entry.startTime - last > 1000 || entry.startTime - start > 5000) { start = entry.startTime; sum = 0; }
    last = entry.startTime;
    sum += entry.value;
    seen.cls = Math.max(seen.cls, sum);
    for (const source of entry.sources || []) {
      if (seen.shifts.length < 10) seen.shifts.push({ element: name(source.node), value: entry.value });
    }
  });
  watch("longtask", (entry) => {
    seen.longTasks += 1;
    seen.blockedMs += Math.max(0, entry.duration - 50);
  });
})();
