// Begins to note which elements change while the page rests, before the scroll pass: what changes by itself is
// not tied to the scrolling. Runs while the page's last files are waited for; scroll.js takes over.
() => {
  const kept = (globalThis.__checkback ||= {});
  if (kept.rest) return;
  const rest = kept.rest = { begun: performance.now(), seen: [] };
  rest.take = (records) => {
    const at = performance.now();
    for (const record of records) {
      if (rest.seen.length < 20000) rest.seen.push([at, record.attributeName, record.target]);
    }
  };
  rest.observer = new MutationObserver(rest.take);
  rest.observer.observe(document, { subtree: true, attributes: true, attributeFilter: ["style", "class"] });
}
