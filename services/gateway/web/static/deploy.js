// A module's form in steps: one at a time, with ways on and back. Without it all steps are shown.
"use strict";
(() => {
  const form = document.getElementById("deploy-form");
  if (!form) return;
  const steps = () => [...form.querySelectorAll("[data-step]")];

  function show(number, moveFocus) {
    steps().forEach((step, index) => { step.hidden = index !== number; });
    const shown = steps()[number];
    if (moveFocus) shown.querySelector("h2").focus();
  }

  function showFor(element) {
    const number = steps().findIndex((step) => step.contains(element));
    if (number >= 0 && steps().length > 1) show(number, false);
  }

  if (form.querySelector("[data-steps]")) {
    for (const moves of form.querySelectorAll(".step-moves")) moves.hidden = false;
    const first = steps().findIndex((step) => step.querySelector("[autofocus]") ?? step.matches("[data-wrong]"));
    show(Math.max(0, first), false);
    form.querySelector("[autofocus]")?.focus();
  }

  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-to-step]");
    if (button) show(Number(button.dataset.toStep) - 1, true);
  });
  // What takes a moment says so; coming back, the button works again.
  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button?.id !== "deploy-button") return;
    setTimeout(() => { button.disabled = true; });
    setTimeout(() => { button.disabled = false; }, 8000);
  });
  // Enter goes on: it never deploys by accident.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input")) return;
    event.preventDefault();
    const here = event.target.closest("[data-step]");
    const next = here && form.querySelector("[data-steps]") && here.querySelector(".step-moves button:last-child[data-to-step]");
    const isForward = next && Number(next.dataset.toStep) - 1 > steps().indexOf(here);
    if (isForward) next.click();
    else document.getElementById("deploy-button")?.focus();
  });
  // A link to a variable opens its step, and goes to its control.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#variable-"]');
    const variable = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!variable) return;
    event.preventDefault();
    showFor(variable);
    variable.querySelector("input:not([type=hidden]), select, textarea, button")?.focus();
  });
})();
