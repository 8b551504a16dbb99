// All cameras of a server. Browsers open few connections to one server, so tiles are fetched in turn.

const ROUND = 500; // milliseconds between two pictures of a tile, at least
const FETCHERS = 3;
const SECOND = 1000;
const PATIENCE = 5 * SECOND;

const grid = document.getElementById("grid");
const tiles = new Map(); // by the camera's name
const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const tile = tiles.get(target.dataset.name);
      if (tile) tile.near = isIntersecting;
    }
  },
  { rootMargin: "400px" },
);
const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

const WORDS = {
  live: ["good", (now) => `${now.fps.toFixed(1)} fps`],
  starting: ["quiet", () => "Starting"],
  waiting: ["warn", () => "No picture yet"],
  stalled: ["warn", () => "Stalled"],
  ended: ["quiet", () => "Ended"],
};

function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

function request(url, headers = {}) {
  return fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
}

// ---- the tiles ----

function addTile(name) {
  const link = document.getElementById("tile").content.cloneNode(true).firstElementChild;
  link.href = `camera/${name}/`;
  link.dataset.name = name;
  const canvas = link.querySelector("canvas");
  tiles.set(name, { name, link, canvas, context: canvas.getContext("bitmaprenderer"), tag: "", due: 0, begun: false, near: false });
  grid.append(link);
  seen.observe(link);
}

function showCameras(cameras) {
  const names = new Set(cameras.map((camera) => camera.name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    seen.unobserve(tile.link);
    tile.link.remove();
    tiles.delete(name);
  }
  for (const camera of cameras) {
    if (!tiles.has(camera.name)) addTile(camera.name);
    const tile = tiles.get(camera.name);
    const { link, canvas } = tile;
    tile.begun = camera.report.frames > 0;
    const [level, words] = WORDS[camera.state];
    link.querySelector(".name").textContent = camera.title;
    canvas.setAttribute("aria-label", camera.title);
    const status = link.querySelector(".status");
    status.dataset.level = level;
    status.textContent = words(camera.now);
    status.title = camera.reason;
    link.toggleAttribute("data-idle", camera.state !== "live");
  }
}

/** Fetch the picture of whichever tile has waited longest. */
async function fetchPictures() {
  for (;;) {
    await visible();
    const now = performance.now();
    const due = [...tiles.values()].filter((tile) => tile.begun && tile.near && tile.due <= now);
    const [next] = due.sort((a, b) => a.due - b.due);
    if (!next) {
      await pause(ROUND / 10);
      continue;
    }
    next.due = Infinity;
    await fetchPicture(next).catch(() => {}); // the list of cameras says what is wrong
    next.due = performance.now() + ROUND;
  }
}

async function fetchPicture(tile) {
  const response = await request(`camera/${tile.name}/snapshot`, tile.tag ? { "If-None-Match": tile.tag } : {});
  if (response.status !== 200) return;
  tile.tag = response.headers.get("ETag");
  const bitmap = await createImageBitmap(await response.blob());
  tile.canvas.width = bitmap.width;
  tile.canvas.height = bitmap.height;
  tile.context.transferFromImageBitmap(bitmap);
}

// ---- the list ----

function showStatus(level, words) {
  const status = document.getElementById("status");
  status.dataset.level = level;
  if (status.textContent !== words) status.textContent = words;
}

async function ask() {
  try {
    const response = await request("cameras");
    if (response.status === 401) location.reload();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const cameras = await response.json();
    showCameras(cameras);
    const live = cameras.filter((camera) => camera.state === "live").length;
    if (cameras.length) showStatus(live === cameras.length ? "good" : "warn", `${live} of ${cameras.length} live`);
    else showStatus("quiet", "None");
  } catch {
    showStatus("warn", "Reconnecting");
  }
}

async function follow() {
  for (;;) {
    await visible();
    await Promise.all([ask(), pause(SECOND)]);
  }
}

follow();
for (let count = 0; count < FETCHERS; count++) fetchPictures();
