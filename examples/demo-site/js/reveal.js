// Cards appear when they scroll into view; the bar gets a shadow once the page has moved.
const cards = document.querySelectorAll(".reveal");
if ("IntersectionObserver" in window) {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        entry.target.classList.add("seen");
        watcher.unobserve(entry.target);
      }
    }
  }, { threshold: 0.15 });
  for (const card of cards) watcher.observe(card);
} else {
  document.documentElement.classList.add("no-observer");
}

const bar = document.querySelector(".top");
addEventListener("scroll", () => bar.classList.toggle("scrolled", scrollY > 10), { passive: true });

const button = document.querySelector(".menu");
button.addEventListener("click", () => {
  const open = document.getElementById("menu").classList.toggle("open");
  button.setAttribute("aria-expanded", String(open));
});
