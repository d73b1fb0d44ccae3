
/* The sections of the page: each takes a part of the document and returns elements. */

const TITLES = {
  in_sync: "In sync", syncing: "Syncing", first_sync: "First sync under way", held: "Held", problems: "Problems",
  server_lost: "Server lost", stalled: "Standing still", stopping: "Stopping", serving: "Serving",
  not_ready: "Not ready",
};

const sections = {
  verdict: (it) => [
    make("strong", {}, TITLES[it.verdict.state] || it.verdict.state),
    make("p", {}, it.verdict.text),
    it.verdict.advice ? make("p", {}, it.verdict.advice) : null,
    command(it.verdict.command),
  ],

  figures: (it) => Object.entries(figures(it)).map(([name, [value, note]]) =>
    make("div", { class: "card" }, name, make("b", {}, value), make("span", { class: "faint" }, note))),

  targets: (it) => !it.targets || it.targets.count === 0 ? [] : [make("div", { class: "card" },
    make("h2", {}, `${count(it.targets.in_sync)} of ${plural(it.targets.count, "server")} in sync`),
    table(["target", "server", "state", "pending", "lag"], it.targets.shown.map((one) =>
      make("tr", { "data-target": one.target },
        make("td", {}, one.target),
        make("td", { "data-label": "server" }, one.server, make("span", { class: "faint" }, ` ${one.namespace}`)),
        make("td", { "data-label": "state" }, TITLES[one.state] || one.state,
          one.in_sync ? null : make("span", { class: "faint" }, ` ${one.text}`), command(one.command)),
        make("td", { "data-label": "pending" }, count(one.pending)),
        make("td", { "data-label": "lag" }, seconds(one.lag_seconds)))), { class: "stacked" }),
    more(it.targets.more, "dirsync-client status"))],

  held: (it) => !it.hold ? [] : [make("div", { class: "card" },
    make("h2", {}, `Held: ${plural(it.hold.paths, "path")}`),
    it.verdict.state === "held" ? null : make("p", {}, it.hold.message),
    make("ul", {}, ...it.hold.shown.map((name) => make("li", {}, make("code", {}, name)))),
    more(it.hold.more, "dirsync-client plan"),
    ...(it.verdict.state === "held" ? [] : [
      make("p", {}, "Make the source what it should be, or release them:"), command(it.hold.command)]))],

  problems: (it) => !it.problems || it.problems.count === 0 ? [] : [make("div", { class: "card" },
    make("h2", {}, plural(it.problems.count, "problem")),
    table(["kind", "paths", "what to do"], it.problems.kinds.map((kind) => make("tr", {},
      make("td", { class: "word" }, kind.kind), make("td", { class: "number" }, count(kind.count)), make("td", {}, kind.advice)))),
    it.problems.shown.length === 0 ? null : table(["path", "what happened"], it.problems.shown.map((one) =>
      make("tr", {}, make("td", {}, make("code", {}, one.path)),
        make("td", {}, one.message, command(one.command)))), { class: "stacked" }),
    more(it.problems.more, "dirsync-client status"))],

  conflicts: (it) => !it.two_way || it.two_way.conflicts.count === 0 ? [] : [make("div", { class: "card" },
    make("h2", {}, `${plural(it.two_way.conflicts.count, "conflict")} since the start`),
    it.two_way.conflicts.shown.length === 0 ? null : table(["path", "has the name", "the other version"],
      it.two_way.conflicts.shown.map((one) => make("tr", {}, make("td", {}, make("code", {}, one.path)),
        make("td", { "data-label": "has the name" }, one.winner),
        make("td", { "data-label": "the other version" }, one.kept_as ? make("code", {}, one.kept_as) : "not kept"))), { class: "stacked" }),
    more(it.two_way.conflicts.more, "dirsync-client events"))],

  namespaces: (it) => !it.namespaces ? [] : [make("div", { class: "card" },
    make("h2", {}, "Namespaces"),
    table(["namespace", "writer", "size", "entries", "last change"],
      it.namespaces.shown.map((one) => make("tr", { "data-namespace": one.name },
        make("td", {}, one.name, one.ready ? null : make("span", { class: "faint" }, " (being read)")),
        make("td", { "data-label": "writer" }, one.writer ? [one.writer, ...one.other_writers].join(", ") : make("span", { class: "faint" }, "none"),
          one.mode === "two-way" ? make("span", { class: "faint" }, " (two-way)") : null),
        make("td", { "data-label": "size" }, ...filled(one.bytes, one.quota_bytes, bytes)),
        make("td", { "data-label": "entries" }, ...filled(one.entries, one.quota_entries, count)),
        make("td", { "data-label": "last change", class: "when" }, one.last_change === null ? "none since the start"
          : `${seconds(Math.max(0, it.time - one.last_change))} ago`))), { class: "stacked" }),
    more(it.namespaces.more, ""))],

  charts: (it) => charts(it.hour),

  strategies: (it) => [make("div", { class: "two" },
    bars("Files by strategy", it.traffic.files, count),
    bars("Bytes saved, by reason", it.traffic.saved_bytes, bytes))],

  events: (it) => [make("div", { class: "card" },
    make("h2", {}, "Recent events"),
    it.events.shown.length === 0 ? faint("None yet.") : table(["time", "event", "details"],
      it.events.shown.map((event) => make("tr", { class: event.level },
        make("td", { class: "when" }, clock(event.time)), make("td", { class: "word" }, event.event),
        make("td", {}, details(event.fields)))), { class: "stacked" }))],

  facts: (it) => [make("div", { class: "card" },
    make("h2", {}, it.watch ? "Watch, untracked paths and settings" : "Limits and settings"),
    table([], Object.entries(facts(it)).map(([name, value]) =>
      make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, value)))))],
};

function figures(it) {
  const saved = sum(Object.values(it.traffic.saved_bytes));
  const all = it.traffic.literal_bytes + saved - (it.traffic.saved_bytes.compression || 0);
  const share = all > 0 ? `${((100 * saved) / all).toFixed(0)} % of ${bytes(all)}` : "nothing was transferred yet";
  if (it.sync) {
    const proved = it.sync.last_success;
    return {
      Pending: [count(it.sync.pending), plural(it.sync.entries, "entry", "entries")],
      Lag: [seconds(it.sync.lag_seconds), "age of the oldest change"],
      "Proved equal": [proved === null ? "not yet" : clock(proved * 1000),
        proved === null ? "since the start" : `${seconds(Math.max(0, it.time - proved))} ago`],
      Sent: [bytes(it.traffic.wire_bytes.sent), "since the start"],
      Saved: [bytes(saved), share],
      ...(it.two_way ? { Received: [bytes(it.two_way.received_bytes),
        `${plural(it.two_way.received_changes, "change")}, ${bytes(it.two_way.saved_bytes)} saved`] } : {}),
    };
  }
  return {
    Writers: [count(it.sessions), plural(it.namespaces.count, "namespace")],
    Entries: [count(it.entries), bytes(it.bytes)],
    Received: [bytes(it.traffic.wire_bytes.received), "since the start"],
    Saved: [bytes(saved), share],
  };
}

function facts(it) {
  if (!it.watch) return it.settings;
  const { mode, watches, overflows } = it.watch;
  const untracked = it.untracked.shown.map((one) => `${one.path} (${one.reason})`).join(", ");
  return {
    "watch mode": `${mode}, ${plural(watches, "directory", "directories")}, ${plural(overflows, "overflow")}`,
    untracked: `${count(it.untracked.count)}${untracked ? `: ${untracked}` : ""}`,
    ...it.settings,
  };
}

/* An amount and its quota, which is red from nine tenths on. */
function filled(value, quota, show) {
  if (quota === null) return [show(value), make("span", { class: "faint" }, ", no quota")];
  const text = `${show(value)} of ${show(quota)}`;
  return [text, bar(value, quota, text, value >= 0.9 * quota)];
}

function bars(title, values, show) {
  const largest = Math.max(1, ...Object.values(values));
  return make("div", { class: "card" }, make("h2", {}, title), table([],
    Object.entries(values).map(([name, value]) => make("tr", {}, make("td", {}, name),
      make("td", { class: "number" }, show(value)),
      make("td", {}, bar(value, largest, `${name}: ${show(value)}`)))), { class: "bars" }));
}

function more(number, how) {
  if (number === 0) return null;
  return make("p", { class: "faint" }, `and ${count(number)} more`, how ? ": " : "", how ? make("code", {}, how) : null);
}

function details(fields) {
  return Object.entries(fields).map(([name, value]) => {
    if (name.endsWith("_bytes") || name === "size") return `${name} ${bytes(value)}`;
    if (name.endsWith("_ms")) return seconds(value / 1000);
    return name === "path" || name === "problem" ? value : `${name} ${value}`;
  }).join(", ");
}
