// Ctrl-K: go anywhere; and g with a letter: go to a page. The list comes from /admin/jump, as links: arrow keys move
// among them, Enter and Ctrl-Enter do what they do to any link.
"use strict";

(() => {
  const box = document.getElementById("jump");
  if (!box?.showModal) return;
  const field = box.querySelector("input");
  const links = () => [...box.querySelectorAll("#jump-found a")];
  const GO = { o: "overview", u: "people", f: "onboarding", m: "ai-metrics", c: "conversations", k: "knowledge", b: "batch", s: "system", d: "feedback" };

  function open() {
    if (box.open) return;
    box.showModal();
    field.select();
    htmx.trigger(field, "ask");
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-jump]");
    if (opener && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open();
    } else if (event.target === box) box.close();
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (box.open) box.close();
      else open();
    }
  });

  box.addEventListener("keydown", (event) => {
    const all = links();
    const here = all.indexOf(document.activeElement);
    // A search field would only be emptied by it.
    if (event.key === "Escape") box.close();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = here + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? field : all[Math.min(next, all.length - 1)] ?? field).focus();
    } else if (event.key === "Enter" && event.target === field && all.length && field.dataset.shows === field.value) {
      if (event.ctrlKey || event.metaKey) window.open(all[0].href, "_blank", "noopener");
      else location.assign(all[0].href);
    } else if (here >= 0 && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      field.focus();
      return;
    } else return;
    event.preventDefault();
  });

  // Which text the list is of: Enter must not open what an earlier one found.
  field.addEventListener("htmx:beforeRequest", (event) => { event.detail.xhr.asked = field.value; });
  field.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) field.dataset.shows = event.detail.xhr.asked; });

  let began = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || box.open || event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === "g") began = event.timeStamp;
    else {
      const to = event.timeStamp - began < 1500 && document.querySelector(`[data-page="${GO[event.key]}"] a`);
      began = 0;
      if (to) location.assign(to.href);
    }
  });
})();
