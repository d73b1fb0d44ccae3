
/* Fetches the document while somebody looks, and shows what has changed in it. */

const REFRESH_MS = 2000;
const PATIENCE_MS = 5000;
const shown = {};
let answered = null;
let timer = null;

function show(it) {
  document.title = `${TITLES[it.verdict.state] || it.verdict.state} \u00b7 dirsync ${it.service}`;
  document.body.dataset.state = it.verdict.state;
  document.body.dataset.service = it.service;
  put("title", `dirsync ${it.service}`);
  put("place", it.service === "client" ? `namespace ${it.namespace} at ${it.server}` : "");
  for (const [name, render] of Object.entries(sections)) {
    const elements = render(it).filter((element) => element !== null);
    const text = elements.map((element) => element.outerHTML).join("");
    // What did not change stays, so that a selection in it stays too.
    if (shown[name] !== text) document.getElementById(name).replaceChildren(...elements);
    shown[name] = text;
  }
  put("age", `${it.version}, running for ${seconds(it.time - it.started)}, as of ${clock(it.time * 1000)}`);
}

function put(name, text) {
  const element = document.getElementById(name);
  if (element.textContent !== text) element.textContent = text;
}

function away(error) {
  const since = answered === null ? "" : ` since ${clock(answered)}; what stands below is old`;
  const element = document.getElementById("away");
  element.hidden = error === null;
  element.textContent = error === null ? "" : `The ${document.body.dataset.service || "service"} does not answer${since}.`;
  document.body.toggleAttribute("data-away", error !== null);
}

async function refresh() {
  const patience = new AbortController();
  const limit = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const answer = await fetch("/status.json", { cache: "no-store", signal: patience.signal });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
    answered = Date.now();
    away(null);
  } catch (error) {
    away(error);
  } finally {
    clearTimeout(limit);
  }
}

/* The next request is made when the last one was answered, and none while nobody looks. */
async function follow() {
  clearTimeout(timer);
  timer = null;
  if (document.hidden) return;
  await refresh();
  clearTimeout(timer);
  timer = setTimeout(follow, REFRESH_MS);
}

document.addEventListener("visibilitychange", follow);
follow();
