// What every page does beyond its HTML: local times, copying, the theme, announcements.
"use strict";
(() => {
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function dress(root) {
    for (const each of root.querySelectorAll("time[data-local]")) {
      each.textContent = whole.format(new Date(each.dateTime));
      each.removeAttribute("data-local");
    }
    for (const each of root.querySelectorAll("[data-copy][hidden], [data-theme-switch][hidden]")) {
      each.hidden = false;
    }
    root.querySelector("[data-focus]")?.focus();
  }

  function announce(text) {
    const announcer = document.getElementById("announcer");
    if (text && announcer.textContent !== text) announcer.textContent = text;
  }

  async function copy(button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied");
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  }

  function otherTheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
    document.dispatchEvent(new Event("theme"));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    if (event.target.closest("[data-theme-switch]")) otherTheme();
    for (const open of document.querySelectorAll("details.account[open], details.menu[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.account[open], details.menu[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });
  // A form that was sent is not sent again by a second click.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    for (const button of event.target.querySelectorAll("button:not([type=button])")) {
      setTimeout(() => { button.disabled = true; });
      setTimeout(() => { button.disabled = false; }, 8000);
    }
  });
  // Coming back by the browser's own button shows the page as it was left: with buttons that work.
  addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[disabled]:not([data-off])")) button.disabled = false;
  });
  // An answer that has not the part that was asked for (an error's page, the way to sign in)
  // leaves what is there; who only looked, and is signed out, comes to sign in.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, serverResponse, xhr } = event.detail;
    const part = requestConfig.elt.closest("[hx-select]")?.getAttribute("hx-select");
    if (!part?.startsWith("#") || serverResponse.includes(`id="${part.slice(1)}"`)) return;
    event.detail.shouldSwap = false;
    const isSignIn = new URL(xhr.responseURL).pathname === "/signin";
    if (isSignIn && requestConfig.verb === "get") location.assign(xhr.responseURL);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    dress(event.target.parentElement ?? document);
    announce(event.target.dataset?.announce);
  });
  dress(document);
})();
