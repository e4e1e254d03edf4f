// The page's performance so far. Called once, before the scroll pass: our own work must not count.
() => {
  const seen = globalThis.__checkback || {};
  const navigation = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const round = (value) => (value === undefined || value === null ? null : Math.round(value * 10) / 10);
  return {
    ttfbMs: navigation ? round(navigation.responseStart) : null,
    domContentLoadedMs: navigation && navigation.domContentLoadedEventEnd
      ? round(navigation.domContentLoadedEventEnd) : null,
    loadMs: navigation && navigation.loadEventEnd ? round(navigation.loadEventEnd) : null,
    fcpMs: paint ? round(paint.startTime) : null,
    lcpMs: seen.lcp ? round(seen.lcp.ms) : null,
    lcpElement: seen.lcp ? seen.lcp.element : "",
    cls: Math.round((seen.cls || 0) * 10000) / 10000,
    clsSources: seen.shifts || [],
    longTasks: seen.longTasks || 0,
    tbtMs: Math.round(seen.blockedMs || 0),
  };
}
