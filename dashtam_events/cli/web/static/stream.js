// The line to the server: live, lost, or catching up. The browser itself comes back after a loss.

const LATER = 2000;

export async function follow({ load, appended, position, model, show }) {
  let cursor;
  show("connecting", model);
  try {
    cursor = await load();
  } catch {
    show("reconnecting", model);
    setTimeout(() => follow({ load, appended, position, model, show }), LATER);
    return;
  }
  const source = new EventSource(`/live?last_event_id=${encodeURIComponent(cursor)}`);
  let state = "connecting";
  let first = true;
  let caught = 0;
  let target = 0;

  const become = (next) => {
    state = next;
    show(state, model, { caught, target });
  };

  source.addEventListener("stream.open", async () => {
    if (first) {
      first = false;
      return become("live");
    }
    // How far the log is tells when this page has caught up with it.
    caught = 0;
    target = Infinity;
    become("resuming");
    target = await position();
    settle();
  });

  const settle = () => {
    if (state === "resuming" && model.position >= target) become("live");
  };

  source.addEventListener("appended", (message) => {
    appended(JSON.parse(message.data));
    if (state === "resuming") caught += 1;
    show(state, model, { caught, target });
    settle();
  });

  // The log is not the one that this page knew: begin again with what there is.
  source.addEventListener("stream.reset", () => {
    source.close();
    follow({ load, appended, position, model, show });
  });

  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CONNECTING) return become("reconnecting");
    become("reconnecting");
    setTimeout(() => follow({ load, appended, position, model, show }), LATER);
  });
}
