// What happens on the platform, as events of the page: `live-deployment`, `live-deployment-ID`,
// `live-balance` and so on, on the body. Parts of a page fetch themselves anew when one comes.
// A page that nobody looks at listens to nothing: browsers allow only a few connections to a site.
"use strict";
(() => {
  const KINDS = ["deployment", "balance", "module", "sync", "revenue", "webhook"];
  const APART_MS = 400;
  const AGAIN_MS = 15000;
  const TOLD_MS = 12000;
  const waiting = new Map();
  let source = null;
  let position = document.body.dataset.position;

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

  // What happens to one's own deployments and credits is said on whatever page one is, if one wants
  // that: not on the page that shows it anyway.
  const own = document.body.dataset.user;
  const wanted = (document.body.dataset.tell ?? "").split(" ");
  let credits = Number(document.body.dataset.credits);

  function toast(words, address) {
    const box = document.createElement("p");
    const text = document.createElement("span");
    const link = document.createElement("a");
    const close = document.createElement("button");
    text.append(`${words} `, link);
    link.href = address;
    link.textContent = "Look";
    close.type = "button";
    close.className = "icon-button";
    close.textContent = "\u00d7";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => box.remove());
    box.append(text, close);
    document.getElementById("told").replaceChildren(box);
    setTimeout(() => box.remove(), TOLD_MS);
  }

  function say(kind, data) {
    if (data.user_id !== own) return;
    if (kind === "deployment" && data.build_status && wanted.includes("deployments")) {
      const address = `/deployments/${data.id}`;
      if (!location.pathname.startsWith("/deployments")) {
        toast(`A deployment of yours has ended: ${data.build_status.toLowerCase().replace("_", " ")}.`, address);
      }
    }
    if (kind === "balance") {
      // What is held and released for a deployment is told with it.
      const changed = credits !== data.total;
      if (changed && wanted.includes("credits") && location.pathname !== "/credits") {
        const more = data.total - credits;
        toast(`${Math.abs(more).toLocaleString("en")} credits have ${more > 0 ? "come" : "gone"}.`, "/credits");
      }
      credits = data.total;
    }
  }

  function everything() {
    for (const kind of KINDS) tell(`live-${kind}`);
    for (const each of document.querySelectorAll("[data-live-id]")) tell(`live-${each.dataset.liveId}`);
  }

  // From what the page was made of: nothing is missed, however long the connection took.
  function listen() {
    if (source) return;
    source = new EventSource(`/api/events?after=${position}`);
    source.addEventListener("open", () => { document.body.dataset.live = "on"; });
    source.addEventListener("error", () => {
      document.body.dataset.live = "off";
      if (source?.readyState !== EventSource.CLOSED) return;
      leave();
      setTimeout(() => { if (!document.hidden) listen(); }, AGAIN_MS);
    });
    source.addEventListener("reset", (event) => {
      position = event.lastEventId;
      everything();
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        const data = JSON.parse(event.data);
        position = event.lastEventId;
        tell(`live-${kind}`);
        if (data.id) tell(`live-${kind}-${data.id}`);
        say(kind, data);
      });
    }
  }

  function leave() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : listen()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", () => { if (!document.hidden) listen(); });
  if (!document.hidden) listen();
})();
