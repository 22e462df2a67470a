// The status page: asks the interface every two seconds and redraws what changed. Everything is put in as text, never
// as markup, since reasons come from the network.

import { drawHistory } from "/chart.js";

const EVERY_MS = 2000;
const ANSWER_WITHIN_MS = 5000;
const ALL_MEMBERS_MOST = 500; // above, only the members of opened services are asked for
const OPENED_AT_FIRST = 10;
const EVENTS = 30;
const ZONES_DRAWN_MOST = 100; // problems first, so what is left out is well
const PROBLEM_ZONES_MOST = 10; // named at the top
const ZONES_EVERY_MS = 15000; // where there are more than are drawn
const RESOURCES_DRAWN_MOST = 100; // in order of their ids; more are only told of
const TOKEN_KEY = "gslb-token"; // in sessionStorage: gone with the tab

const LOOKS = {
  up: "good", normal: "good", degraded: "warn", draining: "warn", unknown: "other", down: "bad",
  over: "warn", within: "good", "down-all": "bad", "down-last": "bad", "down-empty": "bad", ready: "good", absent: "bad",
  live: "good", stale: "warn", ended: "bad", removed: "other",
};
const MODES = {
  normal: "normal", unknown: "no state known yet", draining: "only draining members left",
  "down-all": "all down: answering with all", "down-last": "all down: answering with the last good ones",
  "down-empty": "all down: answering with none",
};
const URGENCY = { bad: 0, warn: 1, other: 2, good: 3 };

let before = null; // counters at the last answer: {at_ms, queries, members: Map}
let answeredAt = null; // wall clock of the last whole answer
let ahead_ms = 0; // of this clock before the balancer's
let zones = []; // as last asked for
let zonesAsked_ms = -Infinity;
const opened = new Map(); // service -> whether the person opened or closed it

class TokenNeeded extends Error {}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function badge(word, text = word) {
  return element("span", { class: `badge ${LOOKS[word] ?? "other"}` }, text);
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function count(number) {
  return number.toLocaleString("en-US").replaceAll(",", "\u202f");
}

function rate(perSecond) {
  if (perSecond === null) return "…";
  return perSecond >= 100 ? count(Math.round(perSecond)) : perSecond.toFixed(1);
}

function milliseconds(microseconds) {
  return microseconds === null ? null : `${(microseconds / 1000).toFixed(microseconds < 10000 ? 1 : 0)} ms`;
}

// By the balancer's clock, to which all times on the page belong.
function balancerNow() {
  return Date.now() - ahead_ms;
}

function clock(rfc3339) {
  const at = new Date(rfc3339);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toISOString().slice(0, 10)} `;
  return day + at.toTimeString().slice(0, 8);
}

async function ask(path) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const answer = await fetch(path, {
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS), cache: "no-store",
    headers: token ? { Authorization: `Bearer ${token}` } : {},
  });
  if (answer.status === 401 || answer.status === 403) {
    const problem = await answer.json().catch(() => ({}));
    throw new TokenNeeded(token ? problem.detail ?? "the token is refused" : "");
  }
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// What a balancer may not have (its store is away, say) leaves the rest of the page as it is.
async function askIfThere(path) {
  try {
    return await ask(path);
  } catch (error) {
    if (error instanceof TokenNeeded) throw error;
    return null;
  }
}

// The worse of the service's mode and, at most as a warning, its members: they are answered around.
function lookOf(service, members = []) {
  const own = LOOKS[service.mode] ?? "other";
  const is_whole = service.members_up === service.members_total && members.every((member) => member.state === "up");
  return own === "good" && !is_whole ? "warn" : own;
}

// Where there are many, only those with a problem are opened, and not all of these.
function isOpen(service, total, openedSoFar) {
  if (opened.has(service.name)) return opened.get(service.name);
  return total <= ALL_MEMBERS_MOST || (service.look !== "good" && openedSoFar < OPENED_AT_FIRST);
}

async function askMembers(services) {
  const total = services.reduce((sum, service) => sum + service.members_total, 0);
  let openCount = 0;
  for (const service of services) {
    service.is_open = isOpen(service, total, openCount);
    if (service.is_open) openCount++;
  }
  if (total <= ALL_MEMBERS_MOST) return (await ask("/v1/members")).members;
  const lists = [];
  for (const service of services.filter((one) => one.is_open))
    lists.push((await ask(`/v1/members?service=${encodeURIComponent(service.name)}`)).members);
  return lists.flat();
}

// A zone that is served, but whose primary cannot be asked, is well until it expires.
function zoneLook(zone) {
  const look = LOOKS[zone.state] ?? "other";
  return look === "good" && zone.error ? "warn" : look;
}

async function askZones() {
  const now_ms = performance.now();
  if (zones.length > ZONES_DRAWN_MOST && now_ms - zonesAsked_ms < ZONES_EVERY_MS) return;
  zonesAsked_ms = now_ms;
  zones = (await ask("/v1/zones")).zones;
  for (const zone of zones) zone.look = zoneLook(zone);
  zones.sort((a, b) => URGENCY[a.look] - URGENCY[b.look] || a.name.localeCompare(b.name));
}

// Counters begin again at 0 with a new daemon, and a rate across that would be nonsense.
function perSecond(now, then, seconds) {
  return then === undefined || now < then || seconds <= 0 ? null : (now - then) / seconds;
}

function drawSummary(status, queriesPerSecond) {
  const processes = element("dd");
  for (const process of status.processes) {
    const again = process.restarts ? `, restarted ${process.restarts}×` : "";
    processes.append(process.pid ? `${process.name} ${process.pid}${again}` : badge("down", `${process.name} is not running`),
                     element("br"));
  }
  const queries = status.queries.udp === undefined ? null : status.queries.udp + status.queries.tcp;
  const rows = [
    ["queries/s", rate(queriesPerSecond)],
    ["queries", queries === null ? "–" : `${count(queries)} (UDP ${count(status.queries.udp)}, TCP ${count(status.queries.tcp)})`],
    ["answers", status.queries.noerror === undefined ? "–"
      : `${count(status.queries.noerror)} NOERROR, ${count(status.queries.nxdomain)} NXDOMAIN, ${count(status.queries.refused)} REFUSED, ${count(status.queries.servfail)} SERVFAIL`],
    ["configuration", `generation ${status.generation}`],
    ["version, uptime", `${status.version}, ${duration(status.uptime_s)}`],
    ["live store", status.stores.live.in_memory ? "in memory" : "on a disk; server.run should be on a tmpfs"],
    ["processes", processes],
  ];
  document.getElementById("summary").replaceChildren(...rows.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), value instanceof Node ? value : element("dd", {}, value))));
}

function describeMembers(service, members) {
  const words = members.filter((member) => member.state !== "up").map((member) => `${member.name} ${member.state}`);
  if (words.length > 0 && words.length <= 6) return words.join(", ");
  return `${service.members_total - service.members_up} of ${service.members_total} members not up`;
}

function drawProblems(status, services, membersOf, peers) {
  const problems = [];
  if (!status.ready) problems.push(element("li", {}, `Not ready: ${status.not_ready_because ?? "unknown"}`));
  for (const process of status.processes)
    if (!process.pid) problems.push(element("li", {}, `The ${process.name} process is not running`));
  for (const [name, store] of Object.entries(status.stores))
    if (!store.readable) problems.push(element("li", {}, `The ${name} store cannot be read`));
  for (const service of services) {
    if (service.look === "good") continue;
    const text = service.mode === "normal" ? `: ${describeMembers(service, membersOf(service))}`
                                           : `: ${MODES[service.mode] ?? service.mode}`;
    problems.push(element("li", {}, element("a", { href: `#service-${service.name}` }, service.name), text));
  }
  for (const balancer of peers?.balancers ?? [])
    if (!balancer.alive) problems.push(element("li", {}, `The balancer ${balancer.identity} is away${balancer.reason ? `: ${balancer.reason}` : ""}`));
  const worrying = zones.filter((zone) => zone.look !== "good");
  for (const zone of worrying.slice(0, PROBLEM_ZONES_MOST))
    problems.push(element("li", {}, "Zone ", element("a", { href: `#zone-${zone.name}` }, zone.name),
                          `: ${zone.state === "ready" ? "" : zone.state}${zone.state !== "ready" && zone.error ? ", " : ""}${zone.error ?? ""}`));
  if (worrying.length > PROBLEM_ZONES_MOST)
    problems.push(element("li", {}, `${worrying.length - PROBLEM_ZONES_MOST} more zones with problems`));
  const box = document.getElementById("problems");
  const is_bad = problems.length > 0 &&
    (!status.ready || services.some((service) => service.look === "bad") || worrying.some((zone) => zone.look === "bad"));
  box.className = is_bad ? "is-bad" : problems.length ? "is-warn" : "is-clear";
  if (problems.length) box.replaceChildren(element("ul", {}, ...problems));
  else box.replaceChildren(`No problems: ${services.length} services, all members up.`);
}

function drawAddress(address) {
  const probes = address.probes.map((probe) => {
    const time = milliseconds(probe.rtt_mean_us);
    return `${probe.monitor}${probe.reason ? `: ${probe.reason}` : ""}${time ? ` in ${time}` : ""}`;
  });
  return element("li", {}, badge(address.state), " ", element("code", {}, address.address),
                 address.answered ? "" : " (not answered)",
                 element("div", { class: "facts" }, `for ${duration(address.age_s)}`,
                         probes.length ? ` · ${probes.join(" · ")}` : ""));
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

// "18 s left, renewed 12 s ago".
function leaseText(lease) {
  const renewed = lease.renewed_at ? Math.max(0, (balancerNow() - new Date(lease.renewed_at)) / 1000) : null;
  const state = lease.state === "live" ? "" : `${lease.state}, `;
  if (!lease.ends_at) return `${state}no end, renewed ${duration(renewed)} ago`;
  const left = (new Date(lease.ends_at) - balancerNow()) / 1000;
  return left >= 0 ? `${state}${duration(left)} left, renewed ${duration(renewed)} ago`
                   : `${state}over for ${duration(-left)}`;
}

function drawResource(resource) {
  const lease = resource.lease;
  const state = resource.removed ? "removed" : lease.state;
  const facts = [resource.kind, resource.site, (resource.addresses ?? []).join(", "),
                 (resource.services ?? []).map((service) => service.name).join(", "),
                 resource.version && `version ${resource.version}`, `by ${resource.owner}`].filter(Boolean);
  const now = lease ? [leaseText(lease), lease.utilization === null ? null : `load ${percent(lease.utilization)}`,
                       lease.self ? `says ${lease.self}${lease.self_reason ? `: ${lease.self_reason}` : ""}` : null]
                    : [resource.removed.why, resource.removed.until_at ? `until ${clock(resource.removed.until_at)}`
                                                                       : "until it is allowed again"];
  return element("li", { id: `resource-${resource.id}` }, badge(state), " ", element("b", {}, resource.id),
                 element("div", { class: "facts" }, now.filter(Boolean).join(" · ")),
                 element("div", { class: "facts" }, facts.join(" · ")));
}

function drawResources(page) {
  const rows = (page?.resources ?? []).map(drawResource);
  if (page?.next) rows.push(element("li", { class: "facts" }, "more, see ", element("a", { href: "/v1/resources" }, "/v1/resources")));
  document.getElementById("resources").replaceChildren(...rows);
  document.getElementById("resources-section").hidden = rows.length === 0;
}

function peerState(balancer) {
  if (!balancer.alive) return badge("down", "away");
  return balancer.accepting ? badge("up", "takes registrations") : badge("draining", "takes none");
}

function drawPeers(peers) {
  const rows = (peers?.balancers ?? []).map((balancer) => element("li", {}, peerState(balancer), " ",
    element("b", {}, balancer.identity), balancer.own ? " (this one)" : "",
    element("div", { class: "facts" }, [balancer.addresses.join(", "), balancer.reason,
      balancer.leaves_at && `plans to leave at ${clock(balancer.leaves_at)}`].filter(Boolean).join(" · "))));
  for (const leave of peers?.leaves ?? [])
    rows.push(element("li", { class: "facts" },
      `Planned absence from ${clock(leave.at)} until ${clock(leave.until)}, by ${leave.who}${leave.why ? `: ${leave.why}` : ""}`));
  document.getElementById("peers").replaceChildren(...rows);
  document.getElementById("peers-section").hidden = rows.length === 0;
}

function figure(number) {
  return number === null ? "–" : String(Number(number.toPrecision(4)));
}

function drawTerm(term) {
  const from = term.source ? `${term.source}, ${duration(term.age_s)} old` +
                               (term.freshness < 1 ? `, counts for ${percent(term.freshness)}` : "")
                           : term.counted === null ? "no figure" : "the group's mean";
  const value = `${figure(term.value)}${term.view === "last" ? "" : ` (${term.view})`} of ${figure(term.ceiling)}`;
  const facts = [term.value === null ? null : value, term.more_is_better ? "more is better" : null,
                 `weight ${figure(term.weight)}`, from,
                 term.threshold === null ? null : `threshold ${figure(term.threshold)}${term.over ? ", over it" : ""}`];
  return element("li", term.over ? { class: "is-over" } : {},
    element("span", {}, term.metric), element("b", {}, figure(term.share)),
    element("div", { class: "facts" }, facts.filter(Boolean).join(" · ")));
}

// What the load is made of: the shares of the terms add up to it.
function drawLoad(member) {
  const load = member.load;
  if (!load) return null;
  const details = element("details", { class: "load", id: `load-${member.id}` },
    element("summary", {}, "load ", element("b", {}, load.load === null ? "not known" : figure(load.load)),
            load.over ? badge("degraded", load.less_preferred ? "over: less preferred" : "over: left out") : null),
    element("ul", { "aria-label": "metrics, each with its share of the load" }, ...load.terms.map(drawTerm)));
  details.open = opened.get(details.id) ?? false;
  details.firstChild.addEventListener("click", () => opened.set(details.id, !details.open));
  return details;
}

function drawMember(member, answersPerSecond) {
  const times = member.addresses.flatMap((address) => address.probes.map((probe) => probe.rtt_mean_us))
                      .filter((time) => time !== null);
  const response = times.length ? milliseconds(Math.max(...times)) : "–";
  const fact = (name, value) => element("span", {}, `${name} `, element("b", {}, value));
  const override = member.override;
  return element("li", { class: `member is-${LOOKS[member.state] ?? "other"}` },
    element("header", {}, element("h3", {}, member.name),
            member.registered ? element("span", { class: "tag" }, "registered") : null, badge(member.state)),
    element("div", {}, member.reason),
    member.self && member.self.state !== "up" && member.decided_by !== "self" ? element("div", { class: "self" },
      `says ${member.self.state} of itself${member.self.reason ? `: ${member.self.reason}` : ""}`) : null,
    element("div", { class: "figures" },
      fact("for", duration(member.age_s)), fact("weight", String(member.weight)),
      fact("answers", count(member.answers_total)), fact("answers/s", rate(answersPerSecond)),
      fact("response", response), member.site ? fact("site", member.site) : null,
      member.lease ? fact("lease", leaseText(member.lease)) : null,
      typeof member.utilization === "number" && !member.load ? fact("load", percent(member.utilization)) : null,
      member.answered ? null : element("span", {}, "not answered")),
    override && element("div", { class: "override" },
      `set ${override.state} by ${override.who}: ${override.why} (since ${clock(override.set_at)}, ` +
      `${override.until_at ? `until ${clock(override.until_at)}` : "without an end"})`),
    drawLoad(member),
    element("ul", { class: "addresses" }, ...member.addresses.map(drawAddress)),
    drawHistory(member, ask));
}

function drawService(service, members, seconds) {
  const facts = [`${service.members_up} of ${service.members_total} up`, service.method.replace("_", " "),
                 `TTL ${service.ttl_s} s`, `${count(service.answers_total)} answers`];
  const sorted = [...members].sort((a, b) => URGENCY[LOOKS[a.state] ?? "other"] - URGENCY[LOOKS[b.state] ?? "other"]);
  const details = element("details", { class: `service is-${service.look}`, id: `service-${service.name}` },
    element("summary", {}, element("h2", {}, service.name), badge(service.mode, MODES[service.mode] ?? service.mode),
            element("span", { class: "facts" }, facts.join(" · "))),
    element("ul", { class: "members" }, ...sorted.map((member) =>
      drawMember(member, perSecond(member.answers_total, before?.members.get(member.id), seconds)))));
  details.open = service.is_open;
  details.firstChild.addEventListener("click", () => opened.set(service.name, !details.open));
  return details;
}

function drawZone(zone) {
  const facts = [zone.kind];
  if (zone.serial !== null) facts.push(`serial ${zone.serial}`, `${count(zone.records)} records`);
  if (zone.refreshed_age_s !== null) facts.push(`primary heard ${duration(zone.refreshed_age_s)} ago`);
  if (zone.expires_in_s !== null) facts.push(`expires in ${duration(zone.expires_in_s)}`);
  return element("li", { id: `zone-${zone.name}` }, badge(zone.look === "warn" ? "degraded" : zone.state, zone.state), " ",
                 element("b", {}, zone.name), element("div", { class: "facts" }, facts.join(" · ")),
                 zone.error ? element("div", { class: "facts error" }, zone.error) : null);
}

function drawZones() {
  const rows = zones.slice(0, ZONES_DRAWN_MOST).map(drawZone);
  const rest = zones.length - rows.length;
  if (rest > 0) rows.push(element("li", { class: "facts" }, `${count(rest)} more, see `, element("a", { href: "/v1/zones" }, "/v1/zones")));
  document.getElementById("zones").replaceChildren(...rows);
}

function drawEvents(events) {
  document.getElementById("events").replaceChildren(...events.map((event) => {
    const subject = [event.service, event.member].filter(Boolean).join("/");
    const change = event.to ? [`${event.from ?? "–"} → `, event.kind === "reload" ? event.to : badge(event.to)] : [];
    return element("li", {}, element("time", { datetime: event.at }, clock(event.at)), " ",
                   element("b", {}, subject || event.kind), event.kind === "override" ? " override " : " ", ...change,
                   element("div", { class: "facts" }, event.reason ?? ""));
  }));
  if (!events.length) document.getElementById("events").replaceChildren(element("li", { class: "facts" }, "none yet"));
}

// A redraw replaces the lists, so what the keyboard stood on is found again by its place.
function keepFocus(redraw) {
  const holder = document.activeElement?.closest?.("details");
  redraw();
  if (holder) document.getElementById(holder.id)?.firstChild.focus({ preventScroll: true });
}

async function refresh() {
  const [status, { services }, { events }, resources, peers] =
    await Promise.all([ask("/v1/status"), ask("/v1/services"), ask(`/v1/events?limit=${EVENTS}`),
                       askIfThere(`/v1/resources?limit=${RESOURCES_DRAWN_MOST}`), askIfThere("/v1/peers")]);
  ahead_ms = Date.now() - new Date(status.now_at);
  const byUrgency = (a, b) => URGENCY[a.look] - URGENCY[b.look] || a.name.localeCompare(b.name);
  for (const service of services) service.look = lookOf(service);
  services.sort(byUrgency); // the most urgent ones are opened where not all can be
  const [members] = await Promise.all([askMembers(services), askZones()]);
  const membersOf = (service) => members.filter((member) => member.service === service.name);
  for (const service of services) service.look = lookOf(service, membersOf(service));
  services.sort(byUrgency);
  const at_ms = performance.now();
  const seconds = before ? (at_ms - before.at_ms) / 1000 : 0;
  const queries = status.queries.udp === undefined ? undefined : status.queries.udp + status.queries.tcp;
  keepFocus(() => {
    document.getElementById("identity").textContent = status.identity;
    document.title = `${[...services, ...zones].some((one) => one.look === "bad") ? "✖ " : ""}${status.identity} – gslb`;
    drawProblems(status, services, membersOf, peers);
    drawSummary(status, queries === undefined ? null : perSecond(queries, before?.queries, seconds));
    document.getElementById("services").replaceChildren(...services.map((service) =>
      drawService(service, membersOf(service), seconds)));
    drawResources(resources);
    drawPeers(peers);
    drawZones();
    drawEvents(events);
  });
  before = { at_ms, queries, members: new Map(members.map((member) => [member.id, member.answers_total])) };
}

function askForToken(why) {
  const form = document.getElementById("token-form");
  document.getElementById("token-refused").textContent = why;
  if (!form.hidden) return;
  form.hidden = false;
  document.getElementById("token").focus();
}

function tellLost(error) {
  const line = document.getElementById("connection");
  before = null;
  line.textContent = answeredAt ? `no connection since ${answeredAt.toTimeString().slice(0, 8)}` : "no connection yet";
  line.title = String(error);
  line.className = "is-lost";
  document.body.classList.toggle("is-stale", answeredAt !== null);
}

async function turn() {
  const line = document.getElementById("connection");
  try {
    await refresh();
    answeredAt = new Date();
    line.textContent = `as of ${answeredAt.toTimeString().slice(0, 8)}`;
    line.className = "";
    document.body.classList.remove("is-stale");
    document.getElementById("token-form").hidden = true;
  } catch (error) {
    if (error instanceof TokenNeeded) {
      askForToken(error.message);
      line.textContent = "a token is needed";
      document.body.classList.toggle("is-stale", answeredAt !== null);
      return; // asking again and again with the same one helps nobody
    }
    tellLost(error);
  }
  setTimeout(turn, EVERY_MS);
}

document.getElementById("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = document.getElementById("token");
  sessionStorage.setItem(TOKEN_KEY, field.value.trim());
  field.value = "";
  turn();
});

turn();
