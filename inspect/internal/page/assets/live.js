// Replaces the contents of a page with their current state every two seconds, unless a part of it is in use.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  const label = document.createElement("label");
  label.append(box, " live");
  document.getElementById("live").append(label);
  const inUse = () => !box.checked || document.hidden || main.contains(document.activeElement) ||
    main.querySelector("details[open]") || String(getSelection()) !== "";
  const refresh = async () => {
    if (inUse()) return;
    try {
      const answer = await fetch(location.href);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (answer.ok && next && !inUse()) main.replaceChildren(...next.childNodes);
    } catch { /* the program has ended; try again */ }
  };
  setInterval(refresh, 2000);
})();
