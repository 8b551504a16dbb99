// Small charts of the last two minutes: a curve of what is measured, or bars of what is counted.

export const SPAN = 120;
const HEIGHT = 38;
const HEADROOM = 1.2;
const SVG = "http://www.w3.org/2000/svg";

function element(name, className) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("class", className);
  return made;
}

export class Chart {
  /** A chart at the end of `parent`, of bars if `counts`, that reaches at least to `top`. The newest value stands at
   * the right. */
  constructor(parent, { counts, top }) {
    this.counts = counts;
    this.top = top;
    this.values = [];
    const svg = element("svg", "chart");
    svg.setAttribute("viewBox", `0 0 ${SPAN - 1} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const base = element("path", "base");
    base.setAttribute("d", `M0 ${HEIGHT}H${SPAN - 1}`);
    this.area = element("path", "area");
    this.curve = element("path", counts ? "bars" : "curve");
    this.cursor = element("path", "cursor");
    svg.append(base, this.area, this.curve, this.cursor);
    parent.append(svg);
    this.svg = svg;
  }

  /** Show values, oldest first; null where nothing was measured. */
  show(values) {
    this.values = values;
    const most = Math.max(this.top, HEADROOM * Math.max(...values.filter((value) => value !== null), 0));
    const left = SPAN - values.length;
    const y = (value) => (HEIGHT - (value / most) * HEIGHT).toFixed(1);
    if (this.counts) {
      const bars = values.map((value, index) => (value ? `M${left + index} ${HEIGHT}V${y(value)}` : ""));
      this.curve.setAttribute("d", bars.join(""));
      return;
    }
    let curve = "";
    let area = "";
    let begun = null;
    values.forEach((value, index) => {
      if (value === null) return;
      const x = left + index;
      if (begun === null) begun = x;
      curve += `${begun === x ? "M" : "L"}${x} ${y(value)}`;
      const last = index + 1 === values.length || values[index + 1] === null;
      if (!last) return;
      const from = begun;
      area += `${curve.slice(curve.lastIndexOf("M"))}V${HEIGHT}H${from}Z`;
      begun = null;
    });
    this.curve.setAttribute("d", curve);
    this.area.setAttribute("d", area);
  }

  /** The value of so many seconds ago; undefined where there is none. */
  at(ago) {
    return this.values[this.values.length - 1 - ago];
  }

  /** Mark the moment of so many seconds ago. */
  mark(ago) {
    this.cursor.setAttribute("d", `M${SPAN - 1 - ago} 0V${HEIGHT}`);
  }
}

/** How many seconds before now a pointer stands. */
export function secondsAgo(svg, event) {
  const box = svg.getBoundingClientRect();
  const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  return Math.round((1 - share) * (SPAN - 1));
}
