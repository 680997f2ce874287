// A build's log as it is written: it follows its end until the reader scrolls up, can be searched,
// and holds no more than so many lines, for the whole of it can be had as text.
"use strict";
(() => {
  const LINES_MAX = 5000;
  const HITS_MAX = 1000;
  const panel = document.getElementById("log");
  const find = (name) => panel.querySelector(`[data-log-${name}]`);
  const lines = find("lines"), jump = find("end"), state = find("state"), progress = find("progress");
  const search = document.getElementById("log-search"), count = document.getElementById("log-count");
  const cut = document.createElement("p");
  cut.className = "cut";
  let build = panel.dataset.build;
  let source = null, position = 0, rest = "", gone = 0, over = false, following = true;
  let hits = [], now = -1, later = 0;

  function connect() {
    if (source || over || !build) return;
    source = new EventSource(`${panel.dataset.log}?build=${encodeURIComponent(build)}&after=${position}`);
    source.addEventListener("open", () => { state.textContent = "Following"; });
    source.addEventListener("log", (event) => {
      position = Number(event.lastEventId) || position;
      const parts = (rest + event.data).split("\n");
      rest = parts.pop();
      add(parts);
    });
    source.addEventListener("progress", (event) => {
      const { done, planned } = JSON.parse(event.data);
      progress.hidden = !planned;
      if (!planned) return;
      progress.max = planned;
      progress.value = done;
      state.textContent = `${done} of ${planned} resources done`;
    });
    source.addEventListener("end", () => {
      if (rest) add([rest]);
      rest = "";
      over = true;
      leave();
      progress.hidden = true;
      state.textContent = "Complete";
    });
    source.addEventListener("error", () => {
      state.textContent = source.readyState === EventSource.CLOSED ? "Cut off: load the page again" : "Reconnecting…";
    });
  }

  function leave() {
    source?.close();
    source = null;
  }

  function begin(other) {
    leave();
    build = other;
    position = gone = 0;
    rest = "";
    over = false;
    following = true;
    lines.replaceChildren();
    jump.hidden = true;
    progress.hidden = true;
    find("whole").href = `${panel.dataset.log}?build=${encodeURIComponent(build)}`;
    look();
    connect();
  }

  function add(texts) {
    if (!texts.length) return;
    find("empty")?.remove();
    const fresh = texts.map((text) => {
      const line = document.createElement("div");
      line.textContent = text;
      return line;
    });
    lines.append(...fresh);
    shorten();
    if (search.value) {
      for (const line of fresh) if (line.isConnected) mark(line, search.value.toLowerCase());
      tell();
    }
    if (following) lines.scrollTop = lines.scrollHeight;
  }

  // Lines that leave at the top must not move those that are being read.
  function shorten() {
    const kept = lines.childElementCount - (cut.isConnected ? 1 : 0);
    if (kept <= LINES_MAX) return;
    const before = lines.scrollHeight;
    if (!cut.isConnected) lines.prepend(cut);
    for (let excess = kept - LINES_MAX; excess > 0; excess -= 1) cut.nextElementSibling.remove();
    gone += kept - LINES_MAX;
    cut.textContent = `${gone.toLocaleString("en")} earlier lines are not shown here: they are in the whole log.`;
    if (!following) lines.scrollTop -= before - lines.scrollHeight;
    const current = hits[now];
    hits = hits.filter((hit) => hit.isConnected);
    now = hits.indexOf(current);
  }

  function mark(line, wanted) {
    const text = line.textContent, small = text.toLowerCase();
    let from = 0, at = small.indexOf(wanted);
    if (at < 0 || small.length !== text.length) return;
    const parts = [];
    for (; at >= 0 && hits.length < HITS_MAX; at = small.indexOf(wanted, from)) {
      const hit = document.createElement("mark");
      hit.textContent = text.slice(at, at + wanted.length);
      parts.push(text.slice(from, at), hit);
      hits.push(hit);
      from = at + wanted.length;
    }
    line.replaceChildren(...parts, text.slice(from));
  }

  function look() {
    for (const line of new Set(hits.map((hit) => hit.parentElement))) {
      if (line) line.textContent = line.textContent;
    }
    hits = [];
    now = -1;
    const wanted = search.value.toLowerCase();
    if (wanted) {
      for (const line of lines.querySelectorAll("div")) {
        if (hits.length >= HITS_MAX) break;
        mark(line, wanted);
      }
    }
    if (hits.length) go(1);
    else tell();
  }

  function go(step) {
    if (!hits.length) return;
    hits[now]?.classList.remove("now");
    now = now < 0 && step < 0 ? hits.length - 1 : (now + step + hits.length) % hits.length;
    hits[now].classList.add("now");
    lines.scrollTop = hits[now].offsetTop - lines.clientHeight / 2;
    tell();
  }

  function tell() {
    const all = hits.length >= HITS_MAX ? `${HITS_MAX} or more` : hits.length;
    if (!search.value) count.textContent = "Search the log";
    else count.textContent = hits.length ? `${now + 1} of ${all}` : "No match";
  }

  lines.addEventListener("scroll", () => {
    following = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 12;
    jump.hidden = following;
  });
  jump.addEventListener("click", () => {
    lines.scrollTop = lines.scrollHeight;
    lines.focus();
  });
  search.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(look, 150);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    go(event.shiftKey ? -1 : 1);
  });
  for (const button of panel.querySelectorAll("[data-log-go]")) {
    button.addEventListener("click", () => go(Number(button.dataset.logGo)));
  }
  // Another build has begun: its log comes in the place of this one, unless this one was asked for.
  document.addEventListener("htmx:afterSwap", () => {
    const newest = document.getElementById("state")?.dataset.build;
    if (panel.dataset.pinned === "no" && newest && newest !== build) begin(newest);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : connect()));
  addEventListener("pagehide", leave);
  find("tools").hidden = false;
  connect();
})();
