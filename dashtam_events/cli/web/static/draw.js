// Everything that is drawn. Text from outside only ever becomes text.

const element = (id) => document.getElementById(id);
const MOST_ROWS = 400;
const MOST_IMPORTS = 5;

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const clock = (time) => make("time", { datetime: time, title: new Date(time).toLocaleString() },
  new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));

const words = (name) => String(name).replaceAll("_", " ");
const spaced = (name) => name.replace(/([a-z])([A-Z])/g, "$1\u200b$2");

export function connections(all, chosen, choose) {
  const list = element("connections");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  list.replaceChildren(...all.map((each) => make("li", {},
    make("button", {
      type: "button", "data-id": each.id, "data-status": each.status,
      "aria-pressed": String(each.id === chosen), onclick: () => choose(each.id),
    },
    make("span", { class: "bank" }, each.bank),
    make("span", { class: "alias" }, each.alias ?? "\u00a0"),
    make("span", { class: "status" }, each.status),
    make("span", { class: "count" }, `${each.version} event${each.version === 1 ? "" : "s"}`)))));
  if (focused) list.querySelector(`[data-id="${focused}"]`)?.focus();
  element("no-connections").hidden = all.length > 0;
}

export function commands(all, press) {
  element("commands").replaceChildren(...all.map((each) => make("button", {
    type: "button", "data-command": each.name, "data-event": each.event,
    "aria-labelledby": `label-${each.name}`, "aria-describedby": `why-${each.name}`,
    onclick: () => press(each.name),
  },
  make("span", { class: "label", id: `label-${each.name}` }, each.label),
  make("span", { class: "why", id: `why-${each.name}` }, each.meaning))));
}

// What a button does, or why it would not: it stands where the finger is.
function possible(shown, tables) {
  let usual = null;
  for (const { name, event, meaning } of tables.commands) {
    const button = document.querySelector(`[data-command="${name}"]`);
    const lit = event in tables.transitions[shown.status];
    if (lit && name !== "disconnect") usual ??= name;
    button.classList.toggle("lit", lit);
    if (lit) button.classList.remove("refused");
    button.classList.toggle("usual", usual === name);
    element(`why-${name}`).textContent = lit ? meaning
      : tables.refusals[shown.status][name] ?? "It has ended already";
  }
}

export function refused(name) {
  for (const button of document.querySelectorAll("#commands button")) {
    button.classList.toggle("refused", button.dataset.command === name);
  }
}

// What came of pressing a button stands near it.
export function outcome(kind, text, id = "outcome") {
  element(id).dataset.kind = kind;
  element(id).textContent = text;
}

export function unanswered(label, id) {
  outcome("unanswered",
    `${label}: the server does not answer. Once it does, the log shows what came of it.`, id);
}

export function answered() {
  for (const each of document.querySelectorAll(".outcome[data-kind=unanswered]")) outcome("", "", each.id);
}

export function life(connection, past, tables) {
  element("life").hidden = !connection;
  if (!connection) return;
  const shown = past ?? connection;
  element("life-title").textContent = `The life of ${connection.name}`;
  for (const part of document.querySelectorAll("svg.states [data-state]")) {
    part.classList.toggle("current", part.dataset.state === shown.status);
  }
  for (const part of document.querySelectorAll("svg.states [data-from]")) {
    part.classList.toggle("lit", part.dataset.from === shown.status);
  }
  for (const picture of document.querySelectorAll("svg.states")) {
    picture.querySelector("title").textContent =
      `The states of a connection. ${connection.name} ${past ? "was" : "is"} ${shown.status}.`;
    picture.classList.toggle("past", Boolean(past));
  }
  possible(shown, tables);
  slider(connection, past);
}

function slider(connection, past) {
  const range = element("version");
  range.max = connection.version;
  range.value = past ? past.version : connection.version;
  range.disabled = connection.version < 2;
  const version = past ? past.version : connection.version;
  element("version-shown").textContent = `${version} of ${connection.version}`;
  range.setAttribute("aria-valuetext",
    `version ${version} of ${connection.version}: ${(past ?? connection).status}`);
  element("past-facts").textContent = past
    ? `So it stood after ${version} event${version === 1 ? "" : "s"}: ${past.status.toUpperCase()}. Worked out from the log, just now.`
    : "This is now. Drag back to see how it stood.";
  element("life").classList.toggle("looking-back", Boolean(past));
}

export function imports(all) {
  const newest = [...all.values()].slice(-MOST_IMPORTS).reverse();
  element("imports").replaceChildren(...newest.map((event) => make("li", { "data-import": event.name },
    make("div", { class: "file" }, make("span", { class: "file-name" }, event.fields.file_name), progressText(event)),
    make("progress", { max: 100, value: percent(event), "aria-label": `Import of ${event.fields.file_name}` }))));
}

const percent = ({ name, fields }) => ({
  FileImportAttempted: 0,
  FileImportProgress: fields.progress_percent,
  FileImportSucceeded: 100,
  FileImportFailed: 100,
})[name] ?? 0;

function progressText({ name, fields }) {
  const text = {
    FileImportAttempted: "begun",
    FileImportProgress: `${fields.records_processed} of ${fields.total_records}`,
    FileImportSucceeded: `done: ${fields.transaction_count} transactions`,
    FileImportFailed: fields.reason === "interrupted" ? "interrupted: the server was gone"
      : `refused: ${words(fields.reason)}`,
  }[name];
  return make("span", { class: "file-state" }, text);
}

export function statements(names) {
  element("statement").replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  element("statement").value = "fidelity-savings.ofx";
}

export function filters(categories) {
  const boxes = categories.map((category) => make("label", {},
    make("input", { type: "checkbox", name: "category", value: category, checked: true, onchange: filter }),
    words(category)));
  element("filters").append(...boxes);
  filter();
}

function filter() {
  const boxes = [...element("filters").querySelectorAll("input")];
  const wanted = boxes.filter((box) => box.checked).map((box) => box.value);
  for (const box of boxes) element("log").classList.toggle(`no-${box.value}`, !box.checked);
  const query = wanted.length === boxes.length ? "" : `?categories=${wanted.join(",")}`;
  element("raw").textContent = `GET /live${query}`;
  element("raw").href = `/live${query}`;
}

export function clearLog() {
  element("log").replaceChildren();
  element("no-events").hidden = false;
}

export function logged(event, fresh) {
  const list = element("log");
  const facts = Object.entries(event.fields).filter(([, value]) => value !== null && value !== "");
  list.prepend(make("li", {
    "data-position": event.position, "data-event-id": event.event_id, "data-phase": event.phase,
    "data-category": event.category, class: fresh ? "fresh" : "",
  },
  make("details", {},
    make("summary", {},
      make("span", { class: "position" }, `#${event.position}`),
      make("span", { class: "event" }, spaced(event.name)),
      clock(event.occurred_at)),
    make("dl", {},
      ...pair("stream", event.stream), ...pair("version", event.version),
      ...facts.flatMap(([name, value]) => pair(name, value)),
      ...pair("heard by", heardBy(event.heard)),
      ...pair("event_id", event.event_id)))));
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  element("no-events").hidden = true;
}

const pair = (name, value) => [make("dt", {}, name), make("dd", {}, String(value))];

const heardBy = (heard) => [
  `log (${heard.log})`,
  heard.audit && `audit (${heard.audit})`,
  heard.email && "e-mail",
  heard.live && `browser (${heard.live})`,
].filter(Boolean).join(", ");

const row = (...cells) => make("tr", { role: "row" }, ...cells);
const cell = (attributes, ...children) => make("td", { role: "cell", ...attributes }, ...children);
const badge = (outcome) => cell({ class: "end" },
  make("span", { class: "badge", "data-outcome": outcome }, outcome));

export function audit(records, further) {
  const rows = records.map((record) => {
    const made = row(
      cell({ "data-label": "" }, clock(record.occurred_at)),
      cell({ class: "main action" }, record.action.replaceAll("_", "_\u200b")),
      badge(record.outcome),
      cell({ "data-label": "from " }, record.ip_address),
      cell({ "data-label": "hash " }, make("code", { title: record.leaf_hash }, record.leaf_hash.slice(0, 8))));
    made.dataset.eventId = record.event_id;
    return made;
  });
  if (further) element("audit").append(...rows);
  else element("audit").replaceChildren(...rows);
  element("no-audit").hidden = element("audit").children.length > 0;
}

const BROUGHT = {
  account_sync: "accounts",
  transaction_sync: "transactions",
  holdings_sync: "holdings",
  file_import: "transactions",
};

const took = (seconds) => seconds < 0.1 ? "under 0.1 s" : `${seconds.toFixed(1)} s`;

export function syncs({ attempts, statistics }, connections) {
  element("syncs").replaceChildren(...attempts.map((each) => row(
    cell({ "data-label": "" }, clock(each.started_at ?? each.ended_at)),
    cell({ class: "main" }, words(each.workflow), about(each, connections)),
    badge(each.outcome),
    cell({ "data-label": "" }, each.items === null ? words(each.reason ?? "") : `${each.items} ${BROUGHT[each.workflow]}`),
    cell({ "data-label": "took " }, each.seconds === null ? "" : took(each.seconds)))));
  element("no-syncs").hidden = attempts.length > 0;
  element("sync-statistics").textContent = statistics.map(summary).join(" \u00b7 ");
}

function about(attempt, connections) {
  const name = connections.get(attempt.connection_id)?.name;
  return name ? make("span", { class: "whose" }, name) : null;
}

function summary({ workflow, attempts, succeeded, mean_seconds: mean }) {
  const average = mean === null ? "" : `, on average ${took(mean)}`;
  return `${words(workflow)}: ${succeeded} of ${attempts} succeeded${average}`;
}

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  resuming: "Resuming",
};

export function link(state, model, { caught = 0 } = {}) {
  element("link").dataset.link = state;
  if (state === "live") answered();
  if (element("link-state").textContent !== WORDS[state]) element("link-state").textContent = WORDS[state];
  const facts = [`at #${model.position}`, `${model.heard} heard`];
  if (caught) facts.push(`${caught} caught up`);
  facts.push(model.gaps + model.repeats ? `${model.gaps} missing, ${model.repeats} twice` : "none missing, none twice");
  element("link-facts").textContent = facts.join(" \u00b7 ");
}
