// Reads a stream with npm's `eventsource` until so many events came; prints their ids.
import { createRequire } from "node:module";

const [folder, url, count] = process.argv.slice(2);
const { EventSource } = createRequire(`${folder}/`)("eventsource");
const ids = [];
let opened = 0;
const source = new EventSource(url);
source.addEventListener("stream.open", () => { opened += 1; });
source.addEventListener("note.written", (message) => {
  ids.push(message.lastEventId);
  if (ids.length === Number(count)) {
    // A moment for what should not come any more.
    setTimeout(() => {
      source.close();
      console.log(JSON.stringify({ ids, opened }));
    }, 300);
  }
});
