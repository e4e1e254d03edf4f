// Resolves when something has been painted and an observer was notified, or after a while: an empty page
// never paints.
async (most) => {
  const end = performance.now() + most;
  const frame = () => new Promise((done) => {
    const timer = setTimeout(done, 100);
    requestAnimationFrame(() => { clearTimeout(timer); setTimeout(done, 0); });
  });
  while (performance.now() < end && !((globalThis.__checkback || {}).lcp)
    && document.body && document.body.innerText.trim()) await frame();
}
