// Looks again and again for a while at what moves, so that short animations that scripts start now and then are
// seen; at the same time measures which canvases are drawn on. `__checkback.animations` keeps what was seen.
async ({ milliseconds, every, most }) => {
  const kept = (globalThis.__checkback ||= {});
  const seen = (kept.animations ||= new Set());
  const canvases = [...document.querySelectorAll("canvas")].slice(0, most);
  const small = document.createElement("canvas");
  small.width = small.height = 16;
  const pen = small.getContext("2d", { willReadFrequently: true });
  const looks = new Map();
  const look = () => {
    for (const canvas of canvases) {
      let pixels = null;
      try {
        pen.clearRect(0, 0, 16, 16);
        pen.drawImage(canvas, 0, 0, 16, 16);
        pixels = pen.getImageData(0, 0, 16, 16).data.join();
      } catch { /* an image of another origin is on it, or it has no size: unknown */ }
      const before = looks.get(canvas);
      if (!before) looks.set(canvas, { first: pixels, last: pixels, changed: false });
      else if (pixels !== null && before.first !== null && pixels !== before.first) before.changed = true;
      if (before) before.last = pixels;
    }
  };
  let drawn = 0;
  const frame = () => new Promise((done) => {
    const timer = setTimeout(done, every);
    requestAnimationFrame(() => { clearTimeout(timer); drawn += 1; done(); });
  });
  const begun = performance.now();
  // Long enough for a look at the canvases at the beginning and one at the end, where there are some.
  const lasting = canvases.length ? Math.max(milliseconds, every) : milliseconds;
  let looked = -every;
  // The page draws in its frames, which come late while a screenshot is taken.
  const goesOn = (at) => at <= lasting || (canvases.length && drawn < 3 && at <= lasting + 6 * every);
  for (let at = 0; goesOn(at); at = performance.now() - begun) {
    for (const animation of document.getAnimations()) if (seen.size < 2000) seen.add(animation);
    if (at - looked >= every) {
      looked = at;
      look();
    }
    await frame();
  }
  look();
  // Only one that shows something is asked for its kind: asking an untouched one would give it that kind.
  const kind = (canvas, pixels) => {
    if (pixels === null || /^[0,]*$/.test(pixels)) return null;
    try {
      return ["2d", "webgl2", "webgl", "bitmaprenderer"].find((name) => canvas.getContext(name)) || null;
    } catch { return "offscreen"; }
  };
  return {
    milliseconds,
    canvases: canvases.map((canvas) => {
      const box = canvas.getBoundingClientRect();
      const { first, last, changed } = looks.get(canvas);
      return {
        box: [box.x + scrollX, box.y + scrollY, box.width, box.height].map(Math.round),
        active: first === null ? null : changed,
        context: kind(canvas, last),
      };
    }),
    total: document.getElementsByTagName("canvas").length,
  };
}
