// CSS animations, CSS transitions and those that scripts made: what runs now, and what the scroll pass saw.
({ most }) => {
  const now = document.getAnimations();
  const all = [...new Set([...now, ...((globalThis.__checkback || {}).animations || [])])];
  const path = (element) => {
    if (!element) return "";
    const parent = element.parentElement;
    const place = parent ? [...parent.children].indexOf(element) + 1 : 0;
    const own = element.localName + (element.id ? "#" + element.id : place ? `:nth-child(${place})` : "");
    return parent ? `${parent.localName} > ${own}`.slice(0, 120) : own.slice(0, 120);
  };
  const list = all.slice(0, most).map((animation) => {
    const effect = animation.effect;
    const timing = effect ? effect.getComputedTiming() : {};
    let frames = [];
    try { frames = effect ? effect.getKeyframes() : []; } catch { /* frames of a removed rule */ }
    const skip = new Set(["offset", "computedOffset", "easing", "composite"]);
    const properties = [...new Set(frames.flatMap((frame) => Object.keys(frame)))].filter((key) => !skip.has(key));
    const scripted = !(animation instanceof CSSAnimation) && !(animation instanceof CSSTransition);
    return {
      type: animation instanceof CSSAnimation ? "css_animation"
        : animation instanceof CSSTransition ? "css_transition" : "script",
      name: String(animation.animationName || animation.transitionProperty || animation.id || "").slice(0, 80),
      target: path(effect && effect.target),
      state: animation.playState,
      durationMs: Number.isFinite(timing.duration) ? timing.duration : 0,
      delayMs: Number.isFinite(timing.delay) ? timing.delay : 0,
      infinite: timing.iterations === Infinity,
      easing: String(timing.easing || (frames[0] && frames[0].easing) || "").slice(0, 80),
      properties: properties.slice(0, 12),
      timeline: animation.timeline ? animation.timeline.constructor.name : "",
      scripted,
    };
  });
  return {
    total: all.length,
    running: now.length,
    infinite: now.filter((animation) => animation.effect
      && animation.effect.getComputedTiming().iterations === Infinity && animation.playState === "running").length,
    list,
  };
}
