// The page of one camera.

import { Chart, secondsAgo, SPAN } from "./chart.js";
import { readPairs, Refused, Screen } from "./pairs.js";

const SECOND = 1000;
const PATIENCE = 4 * SECOND; // with a request for the state
const LONGEST_PAUSE = 3 * SECOND; // before the stream is asked for again

const $ = (id) => document.getElementById(id);
const picture = $("picture");
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

// ---- the picture ----

const screen = new Screen($("restored"), $("original"), (width, height, paired) => {
  setSize(width, height);
  // The first frame may have no original yet; later ones, of a camera that lost it, leave the slider where it is.
  if (picture.dataset.shows !== "pair") picture.dataset.shows = paired ? "pair" : "restored";
});
let reading = new AbortController();
let refusal = ""; // why there is no stream

function setSize(width, height) {
  picture.style.setProperty("--width", width);
  picture.style.setProperty("--height", height);
}

/** Show the stream whenever the page can be seen, and ask for it again for as long as it takes. */
async function watch() {
  let delay = 0;
  for (;;) {
    await visible();
    await pause(delay);
    reading = new AbortController();
    try {
      await readPairs("pairs", reading.signal, (restored, original) => {
        delay = 0;
        refusal = "";
        screen.show(restored, original);
      });
    } catch (error) {
      if (error instanceof Refused && error.status === 401) location.reload();
      if (error instanceof Refused && error.status === 503) refusal = "Too many people are watching";
    }
    delay = Math.min(2 * delay + SECOND / 4, LONGEST_PAUSE);
  }
}

/** Without streams of bytes there is the restored picture alone. */
function watchPlainly() {
  const image = $("plain");
  const show = () => (image.src = `stream?${Date.now()}`);
  image.hidden = false;
  image.addEventListener("load", () => setSize(image.naturalWidth, image.naturalHeight), { once: true });
  image.addEventListener("error", () => setTimeout(show, LONGEST_PAUSE));
  show();
}

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) reading.abort();
  else poll();
});

// ---- the slider ----

const split = $("split");

function moveSplit() {
  const share = split.valueAsNumber;
  picture.style.setProperty("--split", `${share}%`);
  picture.dataset.narrow = share < 14 ? "left" : share > 86 ? "right" : "";
  split.setAttribute("aria-valuetext", `${Math.round(share)} % original`);
}

split.addEventListener("input", moveSplit);
moveSplit();

// ---- the measurements ----

const measures = [...document.querySelectorAll(".measure")].map((row) => ({
  row,
  key: row.dataset.sample,
  total: row.dataset.total,
  number: row.querySelector("dd"),
  values: [],
  chart: new Chart(row, { counts: "total" in row.dataset, top: Number(row.dataset.top) }),
}));
let past = null; // seconds before now that the pointer asks for
let known = { server: null, last: 0 };
let state = null;

const format = {
  fps: (value) => value.toFixed(1),
  latency_ms: (value) => value.toFixed(value < 10 ? 1 : 0),
  quality: String,
  damaged: (value) => value.toLocaleString("en"),
  dropped: (value) => value.toLocaleString("en"),
};

function showSamples(samples) {
  for (const measure of measures) {
    measure.values = [...measure.values, ...samples[measure.key]].slice(-SPAN);
    measure.chart.show(measure.values);
  }
  showNumbers();
}

function showNumbers() {
  for (const { row, key, total, number, chart } of measures) {
    const now = total ? state?.report[total] : state?.now[key];
    const value = past === null ? now : chart.at(past);
    number.textContent = value === null || value === undefined ? "–" : format[key](value);
    row.toggleAttribute("data-past", past !== null);
    if (past !== null) chart.mark(past);
  }
  $("moment").textContent = past ? `${past} s ago` : "now";
}

for (const { chart } of measures) {
  chart.svg.addEventListener("pointermove", (event) => {
    past = secondsAgo(chart.svg, event);
    showNumbers();
  });
  for (const ending of ["pointerleave", "pointercancel"]) {
    chart.svg.addEventListener(ending, () => {
      past = null;
      showNumbers();
    });
  }
}

const facts = {
  model: ({ report }) => report.model,
  runtime: ({ report }) => report.runtime,
  size: ({ report }) => report.size[0] && `${report.size.join(" × ")}, ${report.sampling}`,
  source: ({ source }) => source,
  frames: ({ report }) => report.frames.toLocaleString("en"),
  seconds: ({ report }) => duration(report.seconds),
  viewers: ({ viewers }) => String(viewers),
};

function duration(seconds) {
  const part = (unit, within) => Math.floor(seconds / unit) % within;
  const two = (number) => String(number).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  return `${days ? `${days} d ` : ""}${part(3600, 24)}:${two(part(60, 60))}:${two(part(1, 60))}`;
}

function showFacts() {
  for (const cell of document.querySelectorAll("[data-fact]")) {
    const value = facts[cell.dataset.fact](state);
    cell.textContent = value || "–";
    cell.parentElement.hidden = !value && cell.dataset.fact !== "model";
  }
}

// ---- the state ----

const LEVELS = {
  live: ["good", (now) => (now.live ? "Live" : "Playing"), ""],
  starting: ["quiet", () => "Starting", "Waiting for the first picture"],
  waiting: ["warn", () => "No picture yet", "Waiting for the first picture"],
  stalled: ["warn", () => "Stalled", "No picture is coming"],
  ended: ["quiet", () => "Ended", ""],
};

function showStatus(level, words, notice) {
  const status = $("status");
  status.dataset.level = level;
  if (status.textContent !== words) status.textContent = words;
  document.title = `${$("title").textContent} · ${words}`;
  picture.toggleAttribute("data-idle", Boolean(notice));
  $("notice").hidden = !notice;
  const said = document.createElement("span");
  said.textContent = notice;
  $("notice").replaceChildren(said);
}

function showState() {
  $("title").textContent = state.title;
  $("all").hidden = state.cameras < 2;
  $("save").download = `${state.name}.jpg`;
  const [level, words, notice] = LEVELS[state.state];
  const reason = ["stalled", "waiting"].includes(state.state) ? state.reason : "";
  showStatus(level, words(state), reason ? reason.replace(/^[a-z](?=[a-z]* )/, (first) => first.toUpperCase()) : notice || refusal);
  if (state.report.size[0] && picture.dataset.shows === "nothing") setSize(...state.report.size);
  showFacts();
}

let polling = null;

/** Ask for the state and for the samples that are missing; one request at a time. */
function poll() {
  polling ??= askForState().finally(() => (polling = null));
  return polling;
}

async function askForState() {
  try {
    const response = await fetch(`state?since=${known.last}`, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (response.status === 401) location.reload();
    if (response.status === 404) location.replace(/\/camera\/[^/]+\/$/.test(location.pathname) ? "../../" : ".");
    if (!response.ok) throw new Refused(response.status);
    state = await response.json();
  } catch (error) {
    reading.abort(); // a connection that seems open may lead nowhere
    showStatus("warn", "Reconnecting", "Reconnecting");
    return;
  }
  if (state.server !== known.server && known.server !== null && known.last > 0) {
    // Another server, which counts its seconds from 0: what it has is all that is left.
    known = { server: state.server, last: 0 };
    for (const measure of measures) measure.values = [];
    return askForState();
  }
  known = { server: state.server, last: state.samples.last };
  showState();
  showSamples(state.samples);
}

async function follow() {
  for (;;) {
    await visible();
    await Promise.all([poll(), pause(SECOND)]);
  }
}

// ---- full screen ----

const stage = document.querySelector(".stage");
$("fullscreen").hidden = !stage.requestFullscreen;
$("fullscreen").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else stage.requestFullscreen();
});

if (window.ReadableStream && window.createImageBitmap) watch();
else watchPlainly();
follow();
