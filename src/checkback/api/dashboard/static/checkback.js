// What the pages do with JavaScript: show changes live, copy, upload files, j and k. Without it, reloading shows changes.
"use strict";

const live = document.getElementById("live");
let paused = false;
let fetching = false;
let again = false;

function announce(message) {
  const line = document.getElementById("live-state");
  if (line !== null && line.textContent !== message) line.textContent = message;
}

// Fetch this page again and replace its live part. What is open, focused or selected stays so.
async function refresh() {
  if (paused || fetching) { again = again || fetching; return; }
  fetching = true;
  const next = Date.now() + 500;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!answer.ok || fresh === null) { location.reload(); return; }
    if (!live.contains(document.getSelection().anchorNode) || document.getSelection().isCollapsed) {
      const open = [...live.querySelectorAll("details")].map((one) => one.open);
      const focus = live.contains(document.activeElement) ? document.activeElement : null;
      const place = focus === null ? -1 : [...live.querySelectorAll("a, button, summary, pre")].indexOf(focus);
      document.title = page.title;
      live.replaceChildren(...fresh.childNodes);
      [...live.querySelectorAll("details")].forEach((one, at) => { if (open[at]) one.open = true; });
      if (place >= 0) live.querySelectorAll("a, button, summary, pre")[place]?.focus({ preventScroll: true });
      if (!("events" in fresh.dataset)) delete live.dataset.events;
      prepare();
    }
  } catch { announce("The server cannot be reached; trying again."); }
  // Each refresh reads the job a few times, and the requests of an owner are limited.
  setTimeout(() => { fetching = false; if (again) { again = false; refresh(); } }, next - Date.now());
}

function follow() {
  const source = new EventSource(live.dataset.changes ?? live.dataset.events);
  source.addEventListener("listening", () => { announce("Live: changes appear automatically."); refresh(); });
  source.addEventListener("changed", refresh);
  source.addEventListener("job", async (event) => {
    await refresh();
    if (JSON.parse(event.data).is_final) source.close();
  });
  source.addEventListener("error", () => announce("The server cannot be reached; trying again."));
}

function prepare() {
  for (const button of document.querySelectorAll("button.copy")) button.hidden = !("clipboard" in navigator);
  const pause = document.getElementById("live-pause");
  if (pause !== null) {
    pause.hidden = false;
    pause.textContent = paused ? "Resume" : "Pause";
    announce(paused ? "Paused." : "Live: changes appear automatically.");
  }
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("button.copy");
  if (copy !== null) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = "Copied";
  } else if (event.target.id === "live-pause") {
    paused = !paused;
    prepare();
    if (!paused) refresh();
  }
});

// j and k walk through the list, as in many lists; / goes to the search.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select") !== null) return;
  if (event.key === "/") { document.getElementById("q")?.focus(); event.preventDefault(); return; }
  const step = { j: 1, k: -1 }[event.key];
  const links = [...document.querySelectorAll("a.job-link")];
  if (step === undefined || links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at + step))].focus();
});

// A file is uploaded at once; the form then names it.
for (const drop of document.querySelectorAll(".drop")) {
  const chosen = drop.querySelector("input");
  const says = drop.querySelector("output");
  const field = document.getElementById(drop.dataset.for);
  drop.hidden = false;
  async function take(file) {
    says.textContent = `Uploading ${file.name} …`;
    const answer = await fetch(`/api/uploads?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers: { "content-type": "application/octet-stream" } });
    const response = await answer.json();
    // A list of files gets one more line; a single file replaces what was there.
    const before = field.localName === "textarea" && field.value.trim() !== "" ? `${field.value.trimEnd()}\n` : "";
    if (answer.ok) field.value = before + response.source;
    says.textContent = answer.ok ? `${file.name} was uploaded.` : `${response.error.message} ${response.error.hint}`;
  }
  chosen.addEventListener("change", () => { if (chosen.files.length > 0) take(chosen.files[0]); });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length > 0) take(event.dataTransfer.files[0]);
  });
}

if (live !== null && (live.dataset.changes ?? live.dataset.events) !== undefined) { prepare(); follow(); } else prepare();
