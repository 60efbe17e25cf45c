// The raw tables' one addition: a box that ticks every row of the page.
"use strict";

(() => {
  const toggle = document.getElementById("action-toggle");
  if (!toggle) return;
  const boxes = () => [...document.querySelectorAll(".action-select")];
  toggle.hidden = false;
  toggle.addEventListener("change", () => { for (const box of boxes()) box.checked = toggle.checked; });
  document.getElementById("changelist-form").addEventListener("change", (event) => {
    if (event.target.matches(".action-select")) toggle.checked = boxes().every((box) => box.checked);
  });
})();
