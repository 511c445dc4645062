// Keeps a page fresh without losing scroll, focus, selection or typed text. Every page works without it.
"use strict";

const POLL_ALONE = 5_000;
const REFRESH_GAP = 1_000; // a burst of changes is one refresh a second
const AGE_TICK = 5_000;
const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

// ---- ages: the same words as presenting.age says on the server, by the server's clock

const main = document.getElementById("main");
const POLL_LIVE = Number(main.dataset.live) * 1_000; // milliseconds; what the stream does not tell of, and a net beside it
const skew = Date.now() - Date.parse(document.documentElement.dataset.now);

function age(moment) {
  const seconds = (Date.now() - skew - moment) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  const [size, unit] = UNITS.find(([size]) => Math.abs(seconds) >= size);
  const amount = `${Math.floor(Math.abs(seconds) / size)} ${unit}`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function tellAges() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = age(Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

// ---- morph: make one tree like another, touching only what differs

function morph(have, want) {
  if (have.nodeType === Node.TEXT_NODE) {
    if (have.data !== want.data) have.data = want.data;
    return;
  }
  if (have.nodeType !== Node.ELEMENT_NODE || have.localName === "time" && sameTime(have, want) || isInUse(have)) return;
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name) && name !== "open") have.removeAttribute(name);
  }
  for (const { name, value } of want.attributes) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  morphChildren(have, want);
}

function sameTime(have, want) {
  return have.dateTime === want.dateTime;
}

// A form that somebody is filling in stays as it is; the server tells them if what they saw has changed.
function isInUse(element) {
  if (element.localName !== "form" && !element.hasAttribute("data-form")) return false;
  const typed = [...element.querySelectorAll("textarea, input:not([type=hidden])")];
  const chosen = [...element.querySelectorAll("option")];
  return element.contains(document.activeElement) || typed.some((field) => field.value !== field.defaultValue) ||
    chosen.some((option) => option.selected !== option.defaultSelected) ||
    Boolean(element.querySelector("textarea")?.value);
}

function morphChildren(have, want) {
  const keyed = new Map([...have.children].filter((child) => child.id).map((child) => [child.id, child]));
  let cursor = nextMovable(have.firstChild);
  for (const child of [...want.childNodes]) {
    if (child.nodeType === Node.ELEMENT_NODE) cursor = dropTexts(cursor);
    const match = child.id ? keyed.get(child.id) : cursor && isAlike(cursor, child) ? cursor : null;
    if (!match) {
      have.insertBefore(document.importNode(child, true), cursor);
      continue;
    }
    if (match === cursor) cursor = nextMovable(cursor.nextSibling);
    else have.insertBefore(match, cursor);
    morph(match, child);
  }
  while (cursor) {
    const next = nextMovable(cursor.nextSibling);
    cursor.remove();
    cursor = next;
  }
}

// Spaces before an element go, so that it is found where it is: moved or made anew, it would lose focus or typed text.
function dropTexts(node) {
  while (node && node.nodeType === Node.TEXT_NODE) {
    const next = nextMovable(node.nextSibling);
    node.remove();
    node = next;
  }
  return node;
}

function isAlike(have, want) {
  return have.nodeName === want.nodeName && !have.id;
}

// What says how the last form went stays until the page is left.
function nextMovable(node) {
  while (node && node.nodeType === Node.ELEMENT_NODE && node.hasAttribute("data-stay")) node = node.nextSibling;
  return node;
}

// ---- refresh

const link = document.getElementById("link");

function tell(state, text) {
  if (link.dataset.state === state) return;
  link.hidden = false;
  link.dataset.state = state;
  link.textContent = text;
}

let timer = 0;
let nextAllowed = 0;
let isRefreshing = false;
let isLive = false;

function refreshSoon(wait = 0) {
  clearTimeout(timer);
  const due = Math.max(Date.now() + wait, nextAllowed);
  timer = setTimeout(refresh, due - Date.now());
}

async function refresh() {
  if (isRefreshing) return refreshSoon(REFRESH_GAP);
  if (document.hidden) return;
  isRefreshing = true;
  nextAllowed = Date.now() + REFRESH_GAP;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = fresh.title;
    morph(main, fresh.getElementById("main"));
    tellAges();
    tellChosen();
    if (isLive) tell("live", "live");
    else tell("polling", `every ${POLL_ALONE / 1000} s`);
  } catch {
    tell("lost", "connection lost, trying again");
  } finally {
    isRefreshing = false;
    refreshSoon(isLive ? POLL_LIVE : POLL_ALONE);
  }
}

// ---- choosing several incidents

function ticks() {
  return [...document.querySelectorAll("tbody input[name=incident]")];
}

function tellChosen() {
  const all = ticks();
  const count = all.filter((tick) => tick.checked).length;
  const chosen = document.getElementById("chosen");
  if (!chosen) return;
  const text = `${count} chosen`;
  if (chosen.textContent !== text) chosen.textContent = text;
  const every = document.getElementById("tick-all");
  every.checked = count > 0 && count === all.length;
  every.indeterminate = count > 0 && count < all.length;
}

main.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") for (const tick of ticks()) tick.checked = event.target.checked;
  tellChosen();
});

// ---- the stream of changes; a hidden page gives its connection back

let stream = null;

function listen() {
  stream?.close();
  stream = new EventSource("/api/v1/incidents/stream");
  stream.onopen = () => {
    isLive = true;
    refreshSoon();
  };
  stream.addEventListener("incident", () => refreshSoon(100));
  stream.addEventListener("reset", () => refreshSoon());
  stream.onerror = () => {
    isLive = false;
    refreshSoon();
    // An answer other than 200 closes it for good; a broken connection it opens again by itself.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => document.hidden || listen(), POLL_ALONE);
  };
}

function stopListening() {
  stream?.close();
  isLive = false;
}

// ---- the page that says that the API is away

async function lookForApi(again) {
  const answer = await fetch("/readyz").catch(() => null);
  if (answer?.ok) return location.replace(again);
  setTimeout(lookForApi, 3_000, again);
}

// ---- start

document.documentElement.classList.add("script");
tellChosen();

if (location.search.includes("changed=")) history.replaceState(null, "", location.pathname);
if (main.hasAttribute("data-live")) {
  setInterval(tellAges, AGE_TICK);
  document.addEventListener("visibilitychange", () => (document.hidden ? stopListening() : listen()));
  addEventListener("pagehide", stopListening);
  addEventListener("pageshow", (event) => event.persisted && listen());
  if (!document.hidden) listen();
}
if (main.dataset.away && !main.querySelector("[role=alert]")) {
  document.getElementById("recovery").textContent = "This page looks every 3 seconds whether it is back.";
  setTimeout(lookForApi, 3_000, main.dataset.away);
}
