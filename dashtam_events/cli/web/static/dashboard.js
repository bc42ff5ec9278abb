// The page: it begins with a snapshot, and from there on every change comes from the stream.

import { say, trace } from "./way.js";
import { follow } from "./stream.js";
import * as draw from "./draw.js";
import { Model } from "./model.js";

const tables = JSON.parse(document.getElementById("tables").textContent);
const element = (id) => document.getElementById(id);
const model = new Model(tables);
let chosen = null;
let awaited = null;
let asked = null;
let past = null;

async function request(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  try {
    const response = await fetch(path, options);
    const answer = { ok: response.ok, status: response.status, ...(await response.json()) };
    draw.answered();
    return answer;
  } catch {
    return { ok: false, status: 0 };
  }
}

function choose(id) {
  chosen = id;
  awaited = null;
  past = null;
  draw.refused(null);
  draw.outcome("", "");
  redraw();
}

function redraw() {
  const connections = model.newestFirst();
  if (model.connections.has(awaited)) {
    chosen = awaited;
    awaited = null;
  }
  chosen = model.connections.has(chosen) ? chosen : connections[0]?.id ?? null;
  const connection = model.connections.get(chosen);
  draw.connections(connections, chosen, choose);
  draw.imports(model.imports);
  draw.life(connection, past, tables);
}

// Events come in bursts; the page is drawn once for each frame of the screen.
let frame = 0;
function redrawSoon() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    redraw();
  });
}

// Whatever comes of a request bears the mark that it was sent with: so the page knows its own.
function ask(path, code, body) {
  asked = { code, correlation_id: crypto.randomUUID() };
  return request(path, { ...body, correlation_id: asked.correlation_id });
}

async function command(name) {
  const { label, code } = tables.commands.find((each) => each.name === name);
  const connection = model.connections.get(chosen);
  if (!connection) return;
  backToNow();
  draw.refused(null);
  const answer = await ask(`/api/connections/${connection.id}/${name}`, code, {});
  if (answer.status === 0) {
    draw.unanswered(label);
  } else if (!answer.ok) {
    draw.outcome("refused", `${label}: refused. ${answer.detail}`);
    draw.refused(name);
    if (answer.status === 409) trace.refused(code, answer.detail, connection);
  } else if (connection.status === "disconnected") {
    draw.outcome("", "It has ended already: that is fine, and nothing was recorded.");
  } else {
    draw.outcome("done", `${label}: accepted.`);
  }
}

// One event: fold it, show it, and follow it along the way.
function appended(event) {
  const connection = model.apply(event);
  draw.logged(event, true);
  if (asked?.correlation_id === event.correlation_id) {
    trace.accepted(asked.code, event, connection);
  } else {
    trace.heard(event, connection);
  }
  if (event.phase !== "progress") {
    say(connection ? `${event.name}: ${connection.name} is ${connection.status}` : event.name);
  }
  redrawSoon();
  auditSoon();
  if (event.category === "data_sync" && event.phase !== "progress") syncsSoon();
}

const soon = (what) => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(what, 400);
  };
};
const auditSoon = soon(() => showAudit());
const syncsSoon = soon(() => showSyncs());

async function showSyncs() {
  const told = await request("/api/syncs");
  if (told.ok) draw.syncs(told, model.connections);
}

let older = null;
async function showAudit(cursor) {
  const path = cursor ? `/api/audit?cursor=${encodeURIComponent(cursor)}` : "/api/audit";
  const page = await request(path);
  if (!page.ok) return;
  draw.audit(page.records, Boolean(cursor));
  older = page.next;
  // A button that goes must not take the focus with it.
  if (older === null && document.activeElement === element("older")) element("audit-region").focus();
  element("older").hidden = older === null;
}

function backToNow() {
  past = null;
  redraw();
}

async function lookBack(version) {
  const connection = model.connections.get(chosen);
  if (!connection) return;
  if (version >= connection.version) return backToNow();
  const then = await request(`/api/connections/${connection.id}?at_version=${version}`);
  if (then.ok && Number(element("version").value) === version) {
    past = then;
    redraw();
  }
}

async function begin(form) {
  const code = "ProviderConnection.start(...)";
  const answer = await ask("/api/connections", code, Object.fromEntries(new FormData(form)));
  if (answer.status === 0) return draw.unanswered("New connection", "begin-outcome");
  draw.outcome(answer.ok ? "" : "refused", answer.detail ?? "", "begin-outcome");
  if (!answer.ok) return;
  form.elements.alias.value = "";
  past = null;
  // Its event may come after this answer.
  awaited = answer.id;
  draw.outcome("done", "A connection was begun. What does the bank say?");
  redraw();
}

async function load() {
  const snapshot = await request("/api/snapshot");
  if (!snapshot.ok) throw new Error("no snapshot");
  model.begin(snapshot);
  draw.clearLog();
  snapshot.events.forEach((event) => draw.logged(event, false));
  redraw();
  showAudit();
  showSyncs();
  return snapshot.cursor;
}

function wire() {
  draw.commands(tables.commands, command);
  draw.statements(tables.statements);
  draw.filters(tables.categories);
  element("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    begin(event.target);
  });
  element("import").addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = Object.fromEntries(new FormData(event.target));
    const answer = await ask("/api/imports", `import_events("${wanted.statement}")`, wanted);
    if (answer.status === 0) return draw.unanswered("Import", "import-outcome");
    draw.outcome(answer.ok ? "" : "refused", answer.detail ?? "", "import-outcome");
  });
  element("version").addEventListener("input", (event) => lookBack(Number(event.target.value)));
  element("older").addEventListener("click", () => showAudit(older));
}

wire();
follow({
  load,
  appended,
  position: async () => (await request("/api/position")).position ?? 0,
  model,
  show: draw.link,
});
