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
    type: "button", "data-command": each.name, "data-event": each.event, title: each.meaning,
    onclick: () => press(each.name),
  }, each.label)));
}

export function life(connection, past, tables) {
  element("life").hidden = !connection;
  if (!connection) return;
  const shown = past ?? connection;
  element("life-title").textContent = `The life of ${connection.name}`;
  const possible = tables.transitions[shown.status];
  for (const part of document.querySelectorAll("svg.states [data-state]")) {
    part.classList.toggle("current", part.dataset.state === shown.status);
  }
  for (const part of document.querySelectorAll("svg.states [data-from]")) {
    part.classList.toggle("lit", part.dataset.from === shown.status);
  }
  element("states-title").textContent =
    `The states of a connection. ${connection.name} ${past ? "was" : "is"} ${shown.status}.`;
  document.querySelector("svg.states").classList.toggle("past", Boolean(past));
  for (const button of document.querySelectorAll("#commands button")) {
    const lit = button.dataset.event in possible;
    button.classList.toggle("lit", lit);
    button.setAttribute("aria-label", lit ? button.textContent
      : `${button.textContent}, not possible now: press to hear why`);
  }
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
    FileImportFailed: `refused: ${String(fields.reason).replaceAll("_", " ")}`,
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
    category.replace("_", " ")));
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

export function audit(records, further) {
  const rows = records.map((record) => make("tr", { "data-event-id": record.event_id },
    make("td", {}, clock(record.occurred_at)),
    make("td", { class: "action" }, record.action),
    make("td", {}, make("span", { class: "badge", "data-outcome": record.outcome }, record.outcome)),
    make("td", {}, record.ip_address),
    make("td", {}, make("code", { title: record.leaf_hash }, record.leaf_hash.slice(0, 8)))));
  if (further) element("audit").append(...rows);
  else element("audit").replaceChildren(...rows);
  element("no-audit").hidden = element("audit").children.length > 0;
}

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  resuming: "Resuming",
};

export function link(state, model, { caught = 0 } = {}) {
  element("link").dataset.link = state;
  if (element("link-state").textContent !== WORDS[state]) element("link-state").textContent = WORDS[state];
  const facts = [`at #${model.position}`, `${model.heard} heard`];
  if (caught) facts.push(`${caught} caught up`);
  facts.push(model.gaps + model.repeats ? `${model.gaps} missing, ${model.repeats} twice` : "none missing, none twice");
  element("link-facts").textContent = facts.join(" \u00b7 ");
}
