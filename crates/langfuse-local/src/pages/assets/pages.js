// Comfort on top of pages that are whole without it: keys, copying, folding, filtering what is shown.
"use strict";

const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** How long ago a moment was, in one unit. */
function ago(then, now) {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const seconds = (then - now) / 1000;
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? units[3];
  return words.format(Math.trunc(seconds / size), unit);
}

function tellTimes() {
  const now = Date.now();
  for (const time of all("time")) {
    const then = new Date(time.dateTime);
    if (Number.isNaN(then.getTime())) continue;
    time.title = `${time.dateTime}\n${then.toLocaleString()} here\n${ago(then, now)}`;
    if (!time.closest(".rows .time")) continue;
    const note = time.nextElementSibling ?? time.parentElement.appendChild(make("span", { className: "ago" }));
    note.textContent = ago(then, now);
  }
}

function offerCopies() {
  if (!navigator.clipboard) return;
  for (const code of all("[data-copy]")) {
    const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", "Copy the id");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.querySelector("bdi")?.textContent ?? code.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }
}

/** Narrows the rows that are on the page while one types; asks the server nothing. */
function offerLiveFilter() {
  const table = document.querySelector("table.rows");
  const rows = table ? all("tbody tr", table) : [];
  if (rows.length < 2) return;
  const input = make("input", { type: "search", placeholder: "Narrow these rows", autocomplete: "off" });
  input.setAttribute("aria-label", "Narrow the rows on this page");
  const count = make("span", { className: "quiet" });
  count.setAttribute("aria-live", "polite");
  const tools = make("p", { className: "tools" });
  tools.append(input, count);
  table.before(tools);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
  });
}

const itemsBelow = (item) => {
  const items = [];
  for (let next = item.nextElementSibling; next && items.length < Number(item.dataset.below); next = next.nextElementSibling) {
    items.push(next);
  }
  return items;
};

/** An item is hidden when anything above it is folded. */
function fold(item, isFolded) {
  item.classList.toggle("folded", isFolded);
  const button = item.querySelector(":scope > .fold");
  button.setAttribute("aria-expanded", String(!isFolded));
  button.textContent = isFolded ? `+${item.dataset.below}` : "−";
  let foldedDepth = Infinity;
  for (const other of all(".observation")) {
    const depth = Number(other.dataset.depth);
    if (depth <= foldedDepth) foldedDepth = Infinity;
    other.hidden = depth > foldedDepth;
    if (foldedDepth === Infinity && other.classList.contains("folded")) foldedDepth = depth;
  }
}

function offerFolding() {
  const parents = all(".observation").filter((item) => itemsBelow(item).length > 0);
  for (const item of parents) {
    const name = item.querySelector("summary .name").textContent.trim();
    const button = make("button", { type: "button", className: "fold" });
    button.setAttribute("aria-label", `Show what is below ${name}`);
    button.addEventListener("click", () => fold(item, !item.classList.contains("folded")));
    item.append(button);
    fold(item, false);
  }
  const tools = document.querySelector("[data-tools=waterfall]");
  if (!tools) return;
  const tool = (text, act) => {
    const button = make("button", { type: "button", textContent: text });
    button.addEventListener("click", act);
    tools.append(button);
  };
  if (parents.length > 0) {
    tool("Fold all", () => parents.forEach((item) => fold(item, true)));
    tool("Unfold all", () => parents.forEach((item) => fold(item, false)));
  }
  tool("Open all", () => all(".observation > details").forEach((details) => { details.open = true; }));
  tool("Close all", () => all(".observation > details").forEach((details) => { details.open = false; }));
}

/** j and k or the arrows go through rows, / to the search, left and right fold and unfold. */
function offerKeys() {
  const stops = () => all(".rows tbody td.name > a, .observation > details > summary")
    .filter((stop) => stop.offsetParent !== null);
  const step = (by) => {
    const list = stops();
    const at = list.indexOf(document.activeElement);
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
    return Boolean(next);
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input, select, textarea, button, pre")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const isOnRow = stops().includes(document.activeElement);
    const item = document.activeElement?.closest(".observation");
    const acts = {
      "/": () => { const search = document.querySelector("input[type=search]"); search?.focus(); return Boolean(search); },
      j: () => step(1),
      k: () => step(-1),
      ArrowDown: () => isOnRow && step(1),
      ArrowUp: () => isOnRow && step(-1),
      ArrowLeft: () => foldByKey(item, true),
      ArrowRight: () => foldByKey(item, false),
    };
    if (Object.hasOwn(acts, event.key) && acts[event.key]()) event.preventDefault();
  });
}

function foldByKey(item, isFolded) {
  if (!item?.querySelector(":scope > .fold")) return false;
  fold(item, isFolded);
  return true;
}

/** Fields that are left empty do not belong into an address. */
function keepAddressesShort() {
  for (const form of all("form[method=get]")) {
    form.addEventListener("submit", () => {
      const empty = all("input[name], select[name]", form).filter((field) => field.value === "");
      for (const field of empty) field.disabled = true;
      // The page is shown as it was when one comes back to it.
      setTimeout(() => { for (const field of empty) field.disabled = false; });
    });
  }
}

tellTimes();
setInterval(tellTimes, 30_000);
offerCopies();
offerLiveFilter();
offerFolding();
offerKeys();
keepAddressesShort();
document.documentElement.dataset.script = "on";
