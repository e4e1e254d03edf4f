// Takes what fades or slides because the window changed to its end; what has no end continues.
() => {
  for (const animation of document.getAnimations().slice(0, 500)) {
    const timing = animation.effect && animation.effect.getComputedTiming();
    if (timing && Number.isFinite(timing.endTime) && animation.timeline === document.timeline) animation.finish();
  }
}
