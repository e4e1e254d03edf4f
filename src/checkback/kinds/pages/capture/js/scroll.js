// Scrolls once to the bottom and back, so that lazy pictures load and revealed parts appear, and notes which
// elements change while we scroll but not while we rest: style on many steps is scroll-linked motion, a class
// on some step is a reveal.
async ({ maxSteps, restMs, maxMs }) => {
  const styles = new Map(), classes = new Map(), animations = new Set();
  let phase = "rest";
  const note = (attribute, target) => {
    const map = attribute === "style" ? styles : classes;
    let entry = map.get(target);
    if (!entry) {
      if (map.size > 5000) return;
      entry = { rest: 0, scroll: 0, steps: new Set(), properties: new Set() };
      map.set(target, entry);
    }
    entry[phase] += 1;
    entry.steps.add(step);
    if (map === styles && target.style) {
      for (const property of ["transform", "opacity", "filter", "backgroundPosition", "top", "left", "clipPath"]) {
        if (target.style[property]) entry.properties.add(property);
      }
    }
  };
  const observer = new MutationObserver((records) => {
    for (const record of records) note(record.attributeName, record.target);
  });
  let step = 0;
  const frame = () => new Promise((done) => {
    const timer = setTimeout(done, 100);
    requestAnimationFrame(() => { clearTimeout(timer); setTimeout(done, 0); });
  });
  const root = document.scrollingElement || document.documentElement;
  observer.observe(document, { subtree: true, attributes: true, attributeFilter: ["style", "class"] });
  // The page has rested since rest.js began; only what is missing of that time is waited for.
  const rest = (globalThis.__checkback || {}).rest;
  if (rest) {
    rest.take(rest.observer.takeRecords());
    rest.observer.disconnect();
  }
  const rested = rest ? performance.now() - rest.begun : 0;
  if (rested < restMs) await new Promise((done) => setTimeout(done, restMs - rested));
  if (rest) {
    const since = performance.now() - restMs;
    for (const [at, attribute, target] of rest.seen) if (at >= since) note(attribute, target);
    delete globalThis.__checkback.rest;
  }
  phase = "scroll";
  // Half a window on short pages, so that what follows the scrolling shows on several steps; more on long ones.
  const stride = Math.max(innerHeight / 2, Math.min(innerHeight * 0.8, root.scrollHeight / 10),
    root.scrollHeight / maxSteps);
  const end = performance.now() + maxMs;
  let y = 0;
  while (step < maxSteps && y < root.scrollHeight && performance.now() < end) {
    step += 1;
    scrollTo({ top: y, behavior: "instant" });
    await frame();
    for (const animation of document.getAnimations()) {
      if (animations.size < 500) animations.add(animation);
    }
    y += stride;
  }
  scrollTo({ top: 0, behavior: "instant" });
  await frame();
  await frame();
  observer.disconnect();
  // Jump to the end of what appeared, instead of waiting for it: the picture shows the page as it comes to rest.
  // Those too that going back to the top has begun, such as a bar that grows again.
  for (const animation of new Set([...animations, ...document.getAnimations().slice(0, 500)])) {
    const timing = animation.effect && animation.effect.getComputedTiming();
    if (timing && animation.playState === "running" && Number.isFinite(timing.endTime)
      && animation.timeline === document.timeline) animation.finish();
  }
  (globalThis.__checkback ||= {}).animations = animations;
  await frame();
  const linked = [...styles.values()].filter((e) => e.steps.size >= 3 && e.scroll > 3 * e.rest);
  const revealed = [...classes.values()].filter((e) => e.scroll >= 1 && e.rest === 0);
  return {
    steps: step,
    reachedEnd: y >= root.scrollHeight,
    linked: linked.length,
    linkedProperties: [...new Set(linked.flatMap((entry) => [...entry.properties]))].sort(),
    revealed: revealed.length,
    animationsSeen: animations.size,
  };
}
