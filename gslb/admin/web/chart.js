// A member's figures of the last six hours as small line charts, asked for when its history is opened and then once in a
// while. The page redraws its lists every few seconds, so what was drawn is kept here by the member's id.

const FROM_S = 6 * 3600;
const STEP_S = 300;
const ASK_EVERY_MS = 60000;
const WIDTH = 300, HEIGHT = 60, TOP = 4;
const SVG = "http://www.w3.org/2000/svg";
const METRICS = [
  { metric: "response_time_ms", source: "probe", title: "response time", unit: " ms" },
  { metric: "load", source: "gslb", title: "load", scale: 100, unit: " %" },
];

const kept = new Map(); // member's id -> {asked_ms, box}

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function figure(value, unit) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit}`;
}

// One line through the means and an area from the least to the greatest, both broken where samples are missing.
export function drawChart(series, { title, unit, scale = 1 }) {
  const from = new Date(series.from_at).getTime(), to = new Date(series.to_at).getTime(), step = series.step_s * 1000;
  const points = series.points.map((point) => ({ at: new Date(point.at).getTime() + step / 2, min: point.min * scale,
                                                 mean: point.mean * scale, max: point.max * scale }));
  const least = Math.min(0, ...points.map((point) => point.min));
  const most = Math.max(...points.map((point) => point.max));
  const x = (at) => (WIDTH * (at - from) / Math.max(to - from, 1)).toFixed(1);
  const y = (value) => (HEIGHT - (HEIGHT - TOP) * (most > least ? (value - least) / (most - least) : 0)).toFixed(1);
  const runs = [];
  for (const [i, point] of points.entries()) {
    if (i === 0 || point.at - points[i - 1].at > 1.5 * step) runs.push([]);
    runs.at(-1).push(point);
  }
  const last = points.at(-1);
  const label = `${title}: ${figure(last.mean, unit)} at last, ${figure(most, unit)} at most in ${FROM_S / 3600} hours`;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "chart", role: "img",
                               "aria-label": label });
  for (const run of runs) {
    const above = run.map((point) => `${x(point.at)},${y(point.max)}`);
    const below = run.map((point) => `${x(point.at)},${y(point.min)}`).reverse();
    const line = run.map((point) => `${x(point.at)},${y(point.mean)}`);
    // a run of one point has no length, so it becomes a short stroke
    if (run.length === 1) line.push(`${(Number(x(run[0].at)) + 1).toFixed(1)},${y(run[0].mean)}`);
    drawing.append(svg("polygon", { points: [...above, ...below].join(" "), class: "spread" }),
                   svg("polyline", { points: line.join(" "), class: "line", "vector-effect": "non-scaling-stroke" }));
  }
  const box = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = label;
  const span = document.createElement("div");
  span.className = "span";
  for (const word of [`${FROM_S / 3600} hours ago`, "now"]) span.append(Object.assign(document.createElement("span"), { textContent: word }));
  box.append(caption, drawing, span);
  return box;
}

async function fill(member, box, ask) {
  const path = `/v1/members/${encodeURIComponent(member.service)}/${encodeURIComponent(member.name)}/history`;
  const { series } = await ask(path);
  const drawn = [];
  for (const kind of METRICS) {
    if (!series.some((one) => one.metric === kind.metric && one.source === kind.source)) continue;
    const query = new URLSearchParams({ metric: kind.metric, source: kind.source, from: -FROM_S, step: STEP_S });
    const found = await ask(`${path}?${query}`);
    if (found.points.length) drawn.push(drawChart(found, kind));
  }
  box.replaceChildren(...drawn);
  if (!drawn.length) box.textContent = "nothing of it is kept (server.history)";
}

// The part of a member's row with its history; is_open tells at each redraw whether the person has it open.
export function drawHistory(member, ask) {
  const known = kept.get(member.id) ?? { asked_ms: -Infinity, is_open: false, box: document.createElement("div") };
  kept.set(member.id, known);
  const details = document.createElement("details");
  details.className = "history";
  details.id = `history-${member.id}`;
  const summary = document.createElement("summary");
  summary.textContent = "history";
  details.append(summary, known.box);
  details.open = known.is_open;
  const look = () => {
    if (!known.is_open || performance.now() - known.asked_ms < ASK_EVERY_MS) return;
    known.asked_ms = performance.now();
    fill(member, known.box, ask).catch(() => {}); // what was drawn stays; the page itself tells of a lost connection
  };
  summary.addEventListener("click", () => {
    known.is_open = !details.open; // as it will be after the click
    look();
  });
  look();
  return details;
}
