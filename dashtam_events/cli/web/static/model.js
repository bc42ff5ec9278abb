// What the page knows: a fold over events, by the same table that the service decides with.

export class Model {
  constructor(tables) {
    this.tables = tables;
    this.connections = new Map();
    this.imports = new Map();
    this.versions = new Map();
    this.position = 0;
    this.heard = 0;
    this.repeats = 0;
    this.gaps = 0;
  }

  begin(snapshot) {
    this.connections = new Map(snapshot.connections.map((each) => [each.id, named(each)]));
    this.imports = new Map(snapshot.imports.map((each) => [each.stream, each]));
    this.versions = new Map(Object.entries(snapshot.versions));
    this.position = snapshot.position;
  }

  newestFirst() {
    return [...this.connections.values()].reverse();
  }

  // Returns the connection that the event belongs to, if it is one's.
  apply(event) {
    this.check(event);
    if (event.stream.startsWith("file_import-")) {
      this.imports.delete(event.stream);
      this.imports.set(event.stream, event);
    }
    return event.stream.startsWith("provider_connection-") ? this.fold(event) : null;
  }

  // Nothing is hidden here: what came twice or went missing is counted and shown.
  check(event) {
    this.heard += 1;
    if (event.position <= this.position) this.repeats += 1;
    if (event.version > (this.versions.get(event.stream) ?? 0) + 1) this.gaps += 1;
    this.position = Math.max(this.position, event.position);
    this.versions.set(event.stream, event.version);
  }

  fold(event) {
    const id = event.stream.slice("provider_connection-".length);
    const before = this.connections.get(id) ?? begun(id, event);
    const next = { ...this.tables.start, ...this.tables.transitions[before.status] }[event.name];
    const after = {
      ...before,
      status: next ?? before.status,
      version: event.version,
      updated_at: event.occurred_at,
    };
    if (event.name === "ProviderConnectionSucceeded") after.connected_at ??= event.occurred_at;
    if (event.name === "ProviderConnectionSynced") after.last_sync_at = event.occurred_at;
    this.connections.set(id, after);
    return after;
  }
}

function begun(id, event) {
  return named({
    id,
    stream: event.stream,
    version: 0,
    provider_slug: event.fields.provider_slug,
    alias: event.fields.alias,
    created_at: event.occurred_at,
    connected_at: null,
    last_sync_at: null,
  });
}

function named(connection) {
  const bank = connection.provider_slug
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join(" ");
  return { ...connection, bank, name: connection.alias ? `${connection.alias} at ${bank}` : bank };
}
