// What happens on the platform, as events of the page: `live-deployment`, `live-deployment-ID`,
// `live-balance` and so on, on the body. Parts of a page fetch themselves anew when one comes.
// A page that nobody looks at listens to nothing: browsers allow only a few connections to a site.
"use strict";
(() => {
  const KINDS = ["deployment", "balance", "module", "sync", "revenue", "webhook"];
  const APART_MS = 400;
  const waiting = new Map();
  let source = null;
  let wasAway = false;

  // Of many events of one name within a moment the first and the last are told, never none.
  function tell(name) {
    if (waiting.has(name)) {
      waiting.set(name, true);
      return;
    }
    waiting.set(name, false);
    document.body.dispatchEvent(new CustomEvent(name));
    setTimeout(() => {
      const again = waiting.get(name);
      waiting.delete(name);
      if (again) tell(name);
    }, APART_MS);
  }

  function everything() {
    for (const kind of KINDS) tell(`live-${kind}`);
    for (const each of document.querySelectorAll("[data-live-id]")) tell(`live-${each.dataset.liveId}`);
  }

  function listen() {
    if (source) return;
    source = new EventSource("/api/events");
    source.addEventListener("open", () => {
      document.body.dataset.live = "on";
      if (wasAway) everything();
      wasAway = false;
    });
    source.addEventListener("error", () => {
      document.body.dataset.live = "off";
      wasAway = true;
      if (source.readyState === EventSource.CLOSED) leave();
    });
    source.addEventListener("reset", everything);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        const id = JSON.parse(event.data).id;
        tell(`live-${kind}`);
        if (id) tell(`live-${kind}-${id}`);
      });
    }
  }

  function leave() {
    source?.close();
    source = null;
    wasAway = true;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", () => { if (!document.hidden) listen(); });
  if (!document.hidden) listen();
})();
