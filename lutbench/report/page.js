// Sorting, filtering, tooltips, the theme. Without it the page still shows everything: titles are the browser's own.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  // --- theme: the system's, until the button says otherwise; remembered where the browser lets a page remember
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = (() => { try { return localStorage.getItem("lutbench-theme"); } catch { return null; } })();
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;
  label();
  system.addEventListener("change", label);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
    try { localStorage.setItem("lutbench-theme", root.dataset.theme); } catch { /* not remembered */ }
  });

  // --- tooltips: a title becomes a box that hover, keyboard focus and touch show
  const tip = document.getElementById("tip");
  let owner = null;
  const show = (element) => {
    if (owner === element) return;
    hide();
    owner = element;
    tip.textContent = element.dataset.tip;
    tip.hidden = false;
    element.setAttribute("aria-describedby", "tip");
    place();
  };
  const place = () => {
    if (!owner) return;
    const at = owner.getBoundingClientRect();
    if (at.bottom < 0 || at.top > window.innerHeight) return hide();
    const left = Math.min(at.left + at.width / 2 - tip.offsetWidth / 2, root.clientWidth - tip.offsetWidth - 6);
    const above = at.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(6, left)}px`;
    tip.style.top = `${above >= 6 ? above : at.bottom + 8}px`;
  };
  const hide = () => {
    owner?.removeAttribute("aria-describedby");
    owner = null;
    tip.hidden = true;
  };
  for (const element of document.querySelectorAll("main [title]")) {
    element.dataset.tip = element.title;
    element.removeAttribute("title");
  }
  const tipped = (event) => (event.target instanceof Element ? event.target.closest("[data-tip]") : null);
  const follow = (event) => { const element = tipped(event); if (element) show(element); else hide(); };
  document.addEventListener("pointerover", follow);
  document.addEventListener("focusin", follow);
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", place, true);
  window.addEventListener("resize", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // --- a table of tooltips is one stop of the Tab key; arrows walk inside it
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  for (const table of document.querySelectorAll("table[data-roving]")) {
    const first = table.querySelector("td[data-tip]");
    if (first) first.tabIndex = 0;
    table.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      const cell = event.target.closest("td[data-tip]");
      if (!step || !cell) return;
      const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.hidden);
      let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
      for (;;) {
        row += step[0];
        column += step[1];
        const next = rows[row]?.cells[column];
        if (!next) return;
        if (next.matches("td[data-tip]")) {
          event.preventDefault();
          cell.tabIndex = -1;
          next.tabIndex = 0;
          next.focus();
          return;
        }
      }
    });
  }

  // --- sorting: numbers by data-value, cells without one last in either order
  const collator = new Intl.Collator("en", { numeric: true });
  const keyOf = (cell, isNumber) =>
    isNumber ? (cell.dataset.value === undefined ? null : Number(cell.dataset.value)) : cell.textContent;
  const sort = (table, header) => {
    const column = header.cellIndex;
    const isNumber = header.dataset.sort === "number";
    const turn = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [keyOf(row.cells[column], isNumber), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return turn * (isNumber ? a - b : collator.compare(a, b));
    });
    body.append(...keyed.map(([, row]) => row));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
  };
  for (const header of document.querySelectorAll("table.data th[data-sort]")) {
    header.querySelector("button").addEventListener("click", () => sort(header.closest("table"), header));
  }

  // --- filtering: a row stays when it holds every word
  for (const box of document.querySelectorAll("input[data-filter]")) {
    const rows = [...document.getElementById(box.dataset.filter).tBodies[0].rows];
    const count = document.querySelector(`output[data-count="${box.dataset.filter}"]`);
    const filter = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      count.textContent = words.length ? `${left} of ${rows.length}` : `${rows.length} rows`;
    };
    box.addEventListener("input", filter);
    filter();
  }

  // --- print everything: what is folded up is opened for it, and folded again
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  window.addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
})();
