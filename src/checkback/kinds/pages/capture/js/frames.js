// Resolves after the browser has drawn that many frames, or after a while where none are drawn.
async (count) => {
  for (let number = 0; number < count; number += 1) {
    await new Promise((done) => {
      const timer = setTimeout(done, 200);
      requestAnimationFrame(() => { clearTimeout(timer); done(); });
    });
  }
}
