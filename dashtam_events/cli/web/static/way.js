// The strip at the top: one fact on its way, step by step, and a voice for those who listen.

const PAUSE = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 170;
const steps = [...document.querySelectorAll("#steps > li")];
const who = document.getElementById("way-who");
let timers = [];

// Long names may break where their words do.
const breakable = (text) => text.replace(/([a-z])([A-Z])/g, "$1\u200b$2").replace(/([_.(])(?=\w)/g, "$1\u200b");

function play(texts, kinds) {
  timers.forEach(clearTimeout);
  for (const each of steps) {
    delete each.dataset.kind;
    each.querySelector(".fact").textContent = "";
  }
  timers = steps.map((each, index) => setTimeout(() => {
    each.dataset.kind = kinds[index];
    each.querySelector(".fact").textContent = breakable(texts[index]);
  }, index * PAUSE));
}

function hearing({ heard }) {
  const ears = [`log: ${heard.log}`];
  if (heard.audit) ears.push(`audit: ${heard.audit}`);
  if (heard.email) ears.push("e-mail to the user");
  ears.push(heard.live ? `browser: ${heard.live}` : "this page");
  return ears.join("\n");
}

const place = (event) => `#${event.position} in the log\nversion ${event.version} of its stream`;
const now = (event, connection) => connection
  ? `${connection.name}: ${connection.status.toUpperCase()} after ${event.version} events`
  : `${event.version} events of ${event.stream.split("-")[0].replace("_", " ")}`;

export const trace = {
  accepted(code, event, connection) {
    who.textContent = "You pressed a button, and the rules said yes.";
    play([`${code}\nSuccess`, event.name, place(event), hearing(event), now(event, connection)],
      ["done", "done", "done", "done", "done"]);
  },
  heard(event, connection) {
    who.textContent = "An event came over the stream.";
    play(["Decided where the command was given", event.name, place(event), hearing(event), now(event, connection)],
      ["past", "done", "done", "done", "done"]);
  },
  refused(code, reason, connection) {
    who.textContent = "You pressed a button, and the rules said no.";
    play([`${code}\nRefused: ${reason}`, "No event", "Nothing was appended", "Nobody heard of it",
      `${connection.name}: still ${connection.status.toUpperCase()} after ${connection.version} events`],
    ["refused", "none", "none", "none", "past"]);
  },
};

// A screen reader is told of the last thing that happened: soon, and then not again for a while.
const SOON = 1500;
const LATER = 8000;
const announcer = document.getElementById("announcer");
let waiting = null;
let more = 0;
let spoken = -LATER;

export function say(text) {
  if (waiting !== null) more += 1;
  else setTimeout(speak, Math.max(SOON, spoken + LATER - performance.now()));
  waiting = text;
}

function speak() {
  announcer.textContent = more ? `${more + 1} events. The last: ${waiting}` : waiting;
  spoken = performance.now();
  waiting = null;
  more = 0;
}
