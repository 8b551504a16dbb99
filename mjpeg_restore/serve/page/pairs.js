// The live picture: each frame's restored picture and original arrive together, so that both halves are one moment.

const HEADER = 8;

/** Read frames from `url` until the server ends them; `show` is called with the two JPEGs, the original perhaps null. */
export async function readPairs(url, signal, show) {
  const response = await fetch(url, { signal, cache: "no-store" });
  if (!response.ok) throw new Refused(response.status);
  const buffer = new Buffered(response.body.getReader());
  for (;;) {
    const header = await buffer.take(HEADER);
    if (header === null) return;
    const view = new DataView(header.buffer, header.byteOffset);
    const restored = await buffer.take(view.getUint32(0));
    const original = await buffer.take(view.getUint32(4));
    if (restored === null || original === null) return;
    show(restored, original.length ? original : null);
  }
}

export class Refused extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/** A stream of chunks as a stream of so many bytes. */
class Buffered {
  constructor(reader) {
    this.reader = reader;
    this.chunk = new Uint8Array(0);
  }

  /** The next `count` bytes; null if the stream ends before them. */
  async take(count) {
    const taken = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      if (!this.chunk.length) {
        const { done, value } = await this.reader.read();
        if (done) return null;
        this.chunk = value;
      }
      const part = this.chunk.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.length;
      this.chunk = this.chunk.subarray(part.length);
    }
    return taken;
  }
}

/** Draws frames on two canvases; of those that come while one is decoded, the newest. */
export class Screen {
  /** `drawn` is called with width and height, and whether there is an original, after each frame. */
  constructor(restored, original, drawn) {
    this.restored = restored.getContext("bitmaprenderer");
    this.original = original.getContext("bitmaprenderer");
    this.drawn = drawn;
    this.next = null;
    this.busy = false;
  }

  /** Draw a frame as soon as the one before is drawn, unless a newer one comes. */
  async show(restored, original) {
    this.next = [restored, original];
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const jpegs = this.next;
      this.next = null;
      try {
        const bitmaps = await Promise.all(jpegs.map(decode));
        await frame();
        this.draw(...bitmaps);
      } catch (error) {
        console.warn("a picture cannot be shown:", error);
      }
    }
    this.busy = false;
  }

  draw(restored, original) {
    const { width, height } = restored;
    const paired = original !== null;
    put(this.restored, restored);
    put(this.original, original);
    this.drawn(width, height, paired);
  }
}

/** Show a bitmap, or nothing, on a canvas of its size. */
function put(context, bitmap) {
  const { canvas } = context;
  if (bitmap && (canvas.width !== bitmap.width || canvas.height !== bitmap.height)) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context.transferFromImageBitmap(bitmap);
}

function decode(jpeg) {
  return jpeg && createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
}

function frame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}
