
/* The last hour in steps as inline SVG. A step in which nobody looked is a gap. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 260;
const HEIGHT = 96;
const TOP = 16;
const BASE = HEIGHT - 16;
const LEAST_STEPS = 20;

function draw(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/* The outline of all steps that have a value: down to the axis at both ends of each run of them. */
function outline(values, steps, largest) {
  const place = (step) => (((steps - values.length + step) / steps) * WIDTH).toFixed(1);
  let line = "";
  values.forEach((value, step) => {
    if (value === null) return;
    if (step === 0 || values[step - 1] === null) line += `M${place(step)} ${BASE}`;
    line += `V${(BASE - (value / largest) * (BASE - TOP)).toFixed(1)}H${place(step + 1)}`;
    if (step + 1 === values.length || values[step + 1] === null) line += `V${BASE}`;
  });
  return line;
}

/* A bar that is filled in part. */
function bar(value, most, label, full = false) {
  const image = draw("svg", {
    viewBox: "0 0 100 6", preserveAspectRatio: "none", class: full ? "bar full" : "bar", role: "img", "aria-label": label,
  });
  image.append(draw("rect", { class: "rest", width: 100, height: 6 }),
    draw("rect", { class: "part", width: most > 0 ? Math.min(100, (100 * value) / most).toFixed(2) : 0, height: 6 }));
  return image;
}

function chart(name, title, values, hour, show, describe) {
  const summary = (known) => (known.length === 0 ? `known in ${seconds(hour.step_seconds)}` : describe(known));
  // After a start the little that there is fills the chart.
  const steps = Math.max(LEAST_STEPS, values.length);
  const known = values.filter((value) => value !== null);
  const largest = Math.max(0, ...known);
  const image = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} since ${clock((hour.end - steps * hour.step_seconds) * 1000)}: ${summary(known)}`,
  });
  if (largest > 0) image.append(draw("path", { class: "curve", d: outline(values, steps, largest) }));
  image.append(
    draw("line", { class: "axis", x1: 0, x2: WIDTH, y1: BASE, y2: BASE }),
    draw("text", { x: 0, y: 11 }, largest > 0 ? show(largest) : ""),
    draw("text", { x: 0, y: HEIGHT - 3 }, clock((hour.end - steps * hour.step_seconds) * 1000)),
    draw("text", { x: WIDTH, y: HEIGHT - 3, "text-anchor": "end" }, clock(hour.end * 1000)),
  );
  return make("figure", { class: "card", "data-chart": name },
    make("figcaption", {}, title, make("b", {}, summary(known))), image);
}

const CHARTS = {
  sent_bytes: ["Sent", true], received_bytes: ["Received", true], saved_bytes: ["Bytes saved", true],
  changes: ["Changes", false], lag_seconds: ["Lag", null],
};

function charts(hour) {
  const rate = (show) => (value) => `${show(value / hour.step_seconds)}/s`;
  return Object.entries(hour.series).filter(([name]) => name in CHARTS).map(([name, values]) => {
    const [title, sizes] = CHARTS[name];
    if (sizes === null) {
      return chart(name, title, values, hour, seconds, (known) => `at most ${seconds(Math.max(0, ...known))}`);
    }
    const show = sizes ? bytes : (value) => count(Math.round(value * 10) / 10);
    return chart(name, title, values, hour, rate(show), (known) => `${show(sum(known))} in all`);
  });
}
