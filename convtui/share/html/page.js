"use strict";
// Reads the page and marks what is searched for; texts are only ever set as text.
const turns = [...document.querySelectorAll("article.turn")];
const search = document.getElementById("search");
const found = document.getElementById("found");
const MOST_MARKS = 2000;
let current = -1;
let matches = [];
let texts = null;

function select(index, focus = true) {
  if (index < 0 || index >= turns.length) return;
  if (current >= 0) turns[current].removeAttribute("aria-current");
  current = index;
  const turn = turns[index];
  turn.setAttribute("aria-current", "true");
  if (focus) turn.focus({ preventScroll: true });
  turn.scrollIntoView({ block: "nearest" });
}

function step(by) {
  select(Math.min(Math.max(current + by, 0), turns.length - 1));
}

function event(by) {
  for (let i = current + by; i >= 0 && i < turns.length; i += by) {
    if (turns[i].hasAttribute("data-event")) return select(i);
  }
}

function fold(turn) {
  const details = [...turn.querySelectorAll("details")];
  const open = details.some((one) => !one.open);
  for (const one of details) one.open = open;
}

function foldAll() {
  const details = [...document.querySelectorAll("main details")];
  const open = details.some((one) => !one.open);
  for (const one of details) one.open = open;
}

function clearMarks() {
  for (const mark of document.querySelectorAll("main mark")) {
    const parent = mark.parentNode;
    mark.replaceWith(...mark.childNodes);
    parent.normalize();
  }
}

function markIn(turn, wanted, room) {
  const walker = document.createTreeWalker(turn, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  let count = 0;
  for (let node of nodes) {
    // A letter may become two: where it would then stand is not known.
    if (node.data.toLowerCase().length !== node.data.length) continue;
    let at = node.data.toLowerCase().indexOf(wanted);
    while (at >= 0 && count < room) {
      const hit = node.splitText(at);
      node = hit.splitText(wanted.length);
      const mark = document.createElement("mark");
      hit.replaceWith(mark);
      mark.append(hit);
      count += 1;
      at = node.data.toLowerCase().indexOf(wanted);
    }
  }
  return count;
}

function look() {
  clearMarks();
  const wanted = search.value.toLowerCase();
  matches = [];
  if (!wanted) {
    found.textContent = "";
    return;
  }
  texts = texts || turns.map((turn) => turn.textContent.toLowerCase());
  texts.forEach((text, index) => { if (text.includes(wanted)) matches.push(index); });
  let room = MOST_MARKS;
  for (const index of matches) {
    if (room <= 0) break;
    room -= markIn(turns[index], wanted, room);
  }
  tell();
}

function tell() {
  const turn = matches.length === 1 ? "turn" : "turns";
  const at = matches.indexOf(current);
  const here = at >= 0 ? `, ${at + 1} of ${matches.length}` : "";
  found.textContent = matches.length ? `${matches.length} ${turn}${here}` : "no match";
}

function match(by, from = current) {
  if (!matches.length) return;
  const next = by > 0
    ? matches.find((index) => index > from) ?? matches[0]
    : matches.findLast((index) => index < from) ?? matches[matches.length - 1];
  for (const mark of turns[next].querySelectorAll("mark")) {
    const details = mark.closest("details");
    if (details) details.open = true;
  }
  select(next);
  tell();
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  g: () => select(0), G: () => select(turns.length - 1),
  "]": () => event(1), "[": () => event(-1), n: () => match(1), N: () => match(-1),
  "/": () => { search.focus(); search.select(); }, d: theme, o: foldAll,
};

document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey) return;
  if (press.target === search) {
    if (press.key === "Enter") {
      look();
      match(1, current - 1);
    } else if (press.key === "Escape") {
      search.value = "";
      look();
      search.blur();
      if (current >= 0) turns[current].focus({ preventScroll: true });
    } else return;
    press.preventDefault();
    return;
  }
  if (press.target.closest("a, button, summary") && (press.key === "Enter" || press.key === " ")) return;
  if (press.key === "Enter" && current >= 0) fold(turns[current]);
  else if (press.key === "Escape" && search.value) {
    search.value = "";
    look();
  } else if (Object.hasOwn(KEYS, press.key)) KEYS[press.key]();
  else return;
  press.preventDefault();
});

search.addEventListener("input", look);
document.getElementById("theme").addEventListener("click", theme);
document.getElementById("folds").addEventListener("click", foldAll);
document.querySelector("main").addEventListener("click", (click) => {
  const turn = click.target.closest("article.turn");
  if (turn && !getSelection().toString()) select(turns.indexOf(turn), false);
});

function fromAddress() {
  const turn = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (turn && turns.includes(turn)) select(turns.indexOf(turn));
}
addEventListener("hashchange", fromAddress);
fromAddress();
for (const only of document.querySelectorAll("[data-script]")) only.hidden = false;
