// The front end of the live controls: one classic script, no dependency.
//
// Parts, in order: formats, answers, usage records, state, drawing (all pure, also run in QuickJS when the book is built), and the page.
// Nothing here knows a model or a chip: every number comes from a formula of `llmcost.formulas` or from the control's own data.
(() => {
  "use strict";
  const llmcost = (globalThis.llmcost = globalThis.llmcost || {});
  if (llmcost.draw) return; // a live kernel may inject this file a second time

  // ---------------------------------------------------------------- formats

  const PREFIXES = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
  const BINARY_PREFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
  const COUNTS = { 1: "", token: "token", sequence: "sequence", head: "head", layer: "layer" };
  const PLAIN = { "token/second": "tokens/s", "request/second": "requests/s", "flop/byte": "FLOP/byte" };
  const PRICES = { // multiplied where people read it
    "usd/token": { scale: 1e6, words: " per M tokens", said: /^(usd|dollars?)?\s*((\/|per)\s*(m|million)(\s*tok(en)?s?)?)?$/ },
    "usd/second": { scale: 3600, words: "/h", said: /^(usd|dollars?)?\s*((\/|per)\s*(h|hour))?$/ },
    "usd/joule": { scale: 3.6e6, words: "/kWh", said: /^(usd|dollars?)?\s*((\/|per)\s*kwh)?$/ },
    "usd/byte": { scale: 1e15, words: " per PB", said: /^(usd|dollars?)?\s*((\/|per)\s*pb)?$/ },
    "usd/flop": { scale: 1e18, words: " per EFLOP", said: /^(usd|dollars?)?\s*((\/|per)\s*eflop)?$/ },
  };

  // Thousands separators in the whole part.
  const grouped = (text) => text.replace(/^\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));

  // Three significant digits of a number >= 0, never with an exponent; from 1000 on the whole number.
  function digits(x) {
    if (x === 0) return "0";
    if (x >= 999.5) return grouped(String(BigInt(Math.round(x))));
    const text = x.toPrecision(3);
    return text.includes("e") ? x.toFixed(2 - Number(text.split("e")[1])) : text;
  }

  // Up to the largest prefix that keeps the rounded number below the base.
  function prefixed(x, unit, binary) {
    const [prefixes, base] = binary ? [BINARY_PREFIXES, 1024] : [PREFIXES, 1000];
    let power = 0;
    while (power < prefixes.length - 1 && x / base ** power >= base - 0.5) power += 1;
    const number = power === 0 && Number.isInteger(x) ? String(x) : digits(x / base ** power);
    return `${number} ${prefixes[power]}${unit}`;
  }

  function seconds(x) {
    let power = 0;
    while (x > 0 && power < 3 && Number((x * 1000 ** power).toPrecision(3)) < 1) power += 1;
    return `${digits(x * 1000 ** power)} ${["", "m", "µ", "n"][power]}s`;
  }

  function count(x, word) {
    const number = x >= 1e7 ? prefixed(x, "", false) : Number.isInteger(x) ? grouped(String(x)) : digits(x);
    return word ? `${number} ${word}${x === 1 ? "" : "s"}` : number;
  }

  const LARGE = [["trillion", 1e12], ["billion", 1e9], ["million", 1e6]];

  function money(x) {
    const large = LARGE.find(([, scale]) => x >= scale);
    if (large) return `${digits(x / large[1])} ${large[0]}`;
    return x >= 0.995 ? grouped(x.toFixed(x >= 10000 ? 0 : 2)) : digits(x);
  }

  function magnitude(x, unit, binary) {
    if (unit in COUNTS) return count(x, COUNTS[unit]);
    if (unit in PLAIN) return `${digits(x)} ${PLAIN[unit]}`;
    if (unit in PRICES) return `$${money(x * PRICES[unit].scale)}${PRICES[unit].words}`;
    if (unit === "fraction") return `${digits(x * 100)} %`;
    if (unit === "second") return seconds(x);
    const [base, per] = unit.split("/");
    const suffix = per ? `/${per === "second" ? "s" : per}` : "";
    if (base === "byte") return prefixed(x, "B", binary) + suffix;
    if (base === "flop") return prefixed(x, "FLOP", false) + suffix;
    if (base === "watt") return prefixed(x, "W", false) + suffix;
    if (base === "joule") return prefixed(x, "J", false) + suffix;
    if (base === "usd") return `$${money(x)}${suffix}`;
    return `${digits(x)} ${unit}`;
  }

  // The text of a value in base units. Twin of Python's `llmcost.formats.format_value`.
  function format(value, unit, binary) {
    if (!Number.isFinite(value)) return "–";
    return (value < 0 ? "−" : "") + magnitude(Math.abs(value), unit, binary);
  }

  // ---------------------------------------------------------------- answers

  const DECIMAL = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, p: 1e15, e: 1e18 };
  const BINARY = { ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40, pi: 2 ** 50, ei: 2 ** 60 };
  const SMALL = { ...DECIMAL, m: 1e-3 }; // a reader who types mJ or mW means thousandths
  const TIME = { "": 1, m: 1e-3, u: 1e-6, "µ": 1e-6, "μ": 1e-6, n: 1e-9 };
  const WORDS = {
    byte: /^(b|bytes?)$/, flop: /^flops?$/, second: /^(s|secs?|seconds?)$/, usd: /^(usd|dollars?)$/,
    watt: /^(w|watts?)$/, joule: /^(j|joules?)$/,
    1: /^$/, token: /^tok(ens?)?$/, sequence: /^sequences?$/, head: /^heads?$/, layer: /^layers?$/,
  };
  const EXAMPLES = {
    byte: "328000, 3.3e5 or 328 kB", second: "0.042, 4.2e-2 or 42 ms", flop: "1.5e12 or 1.5 TFLOP",
    usd: "1.71 or $1.71", fraction: "0.35 or 35 %", "usd/token": "3 or $3 per million tokens", "usd/second": "2.5 or $2.50/h",
    watt: "450 or 0.45 kW", joule: "0.35 or 350 mJ", "usd/joule": "0.18 or $0.18/kWh",
  };
  const NUMBER = /^[~≈]?\s*([-−+]?)\s*\$?\s*(\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(\.\d*)?(e[-+]?\d+)?\s*(.*)$/i;

  const examples = (unit) => EXAMPLES[unit] || EXAMPLES[unit.split("/")[0]] || "328000, 3.3e5 or 328 k";

  // What a suffix multiplies by ("kB" -> 1000), or NaN when it is not a suffix of that unit.
  function suffixFactor(suffix, unit) {
    if (unit in PRICES) return PRICES[unit].said.test(suffix) ? 1 / PRICES[unit].scale : NaN;
    const base = unit.split("/")[0];
    if (base === "fraction") return suffix === "%" ? 0.01 : suffix === "" ? 1 : NaN;
    const factors = base === "second" ? TIME : base === "joule" || base === "watt" ? SMALL : { ...DECIMAL, ...BINARY, ...(base in COUNTS ? { b: 1e9 } : {}) };
    const word = suffix.replace(/\s*(\/|\bper\b)\s*\w+$/, "");
    const known = WORDS[base] || { test: (text) => text === base };
    for (const prefix of Object.keys(factors)) {
      const rest = word.slice(prefix.length).trim();
      if (word.startsWith(prefix) && (rest === "" || known.test(rest))) return factors[prefix];
    }
    return NaN;
  }

  // The number a reader typed, in base units, or NaN. "2.75 TB", "640 GiB", "1,024", "3.3e5", "35 %".
  function parse(text, unit) {
    const match = NUMBER.exec(text.trim().replace(/(\d)_(?=\d{3})/g, "$1"));
    if (!match) return NaN;
    const [, sign, whole, fraction = "", exponent = "", suffix] = match;
    const number = Number(whole.replace(/,/g, "") + fraction + exponent);
    const isBarePercent = unit === "fraction" && suffix === "" && number >= 2; // "35" can only mean 35 %
    const value = number * (isBarePercent ? 0.01 : suffixFactor(suffix.toLowerCase(), unit));
    if (!Number.isFinite(value)) return NaN;
    return sign === "-" || sign === "−" ? -value : value;
  }

  // "8x too large"; without a ratio where there is none (zero, or different signs).
  function howFarOff(answer, right) {
    const direction = answer > right ? "too large" : "too small";
    const ratio = answer / right;
    if (!(ratio > 0 && Number.isFinite(ratio))) return direction;
    const factor = Number(Math.max(ratio, 1 / ratio).toPrecision(3));
    return factor === 1 ? `slightly ${direction}` : `${withoutZeros(digits(factor))}x ${direction}`;
  }

  function judge(answer, { answer: right, within = 0.01, slips = [] }) {
    const isNear = (value) => Math.abs(answer - value) <= within * Math.abs(value);
    if (isNear(right)) return { right: true, size: "right" };
    const slip = slips.find(({ value }) => isNear(value));
    return { right: false, size: howFarOff(answer, right), slip: slip && slip.text };
  }

  // Twin of Python's `llmcost.book.grade`.
  function grade(answer, question) {
    const { size, slip } = judge(answer, question);
    return size[0].toUpperCase() + size.slice(1) + (slip ? `: ${slip}.` : ".");
  }

  // What a question says to a number: a prediction is shown beside the truth.
  function verdict(answer, question) {
    if (question.kind !== "predict") return grade(answer, question);
    const { size, slip } = judge(answer, question);
    const [said, is] = [answer, question.answer].map((value) => format(value, question.unit));
    return `You said ${said}; it is ${is}: ${size}${slip ? ` (${slip})` : ""}.`;
  }

  // ---------------------------------------------------------------- usage records

  const COUNT_NAMES = ["input_tokens", "cached_tokens", "written_tokens", "output_tokens", "reasoning_tokens"];
  const DEEPEST = 100; // braces in braces
  const JSON_SPACE = /[ \t\n\r]*/y;
  const JSON_TOKEN = new RegExp(String.raw`([{}\[\],:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")`
    + String.raw`|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)`, "y");
  const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  // What may follow a token where `wanted` was wanted; nothing where it was out of place.
  function jsonAfter(kind, wanted, closers) {
    const innermost = closers[closers.length - 1];
    if (kind === "}" || kind === "]") {
      if (innermost !== kind || !["end", kind === "}" ? "first key" : "first value"].includes(wanted)) return "";
      closers.pop();
      return "end";
    }
    if (kind === ",") return wanted !== "end" || !innermost ? "" : innermost === "}" ? "key" : "value";
    if (kind === ":") return wanted === "colon" ? "value" : "";
    if (wanted === "key" || wanted === "first key") return kind === "text" ? "colon" : "";
    if ((wanted !== "value" && wanted !== "first value") || closers.length > DEEPEST) return "";
    if (kind !== "{" && kind !== "[") return "end";
    closers.push(kind === "{" ? "}" : "]");
    return kind === "{" ? "first key" : "first value";
  }

  // The place where a text stops being JSON, its length where it only ends too early; NaN if it is JSON.
  function jsonBreaks(text) {
    const closers = [];
    let [wanted, place] = ["value", 0];
    for (;;) {
      JSON_SPACE.lastIndex = place;
      JSON_TOKEN.lastIndex = place += JSON_SPACE.exec(text)[0].length;
      if (place === text.length && wanted === "end" && !closers.length) return NaN;
      const token = JSON_TOKEN.exec(text);
      wanted = token && jsonAfter(token[1] || (token[2] ? "text" : "other"), wanted, closers);
      if (!wanted) return place;
      place += token[0].length;
    }
  }

  function parsedJson(text) {
    const place = jsonBreaks(text);
    if (Number.isNaN(place)) return JSON.parse(text);
    if (place === text.length) throw new Error("That is not JSON: it ends before it is complete.");
    const before = text.slice(0, place).split("\n");
    throw new Error(`That is not JSON from line ${before.length}, character ${[...before[before.length - 1]].length + 1} on.`);
  }

  // The count at a path whose steps are parted by points; 0 where it is absent.
  function countAt(record, path) {
    let value = record;
    for (const step of path.split(".")) {
      if (!isRecord(value)) throw new Error(`${path} cannot be read: what should hold it has no fields.`);
      value = value[step];
      if (value === undefined || value === null) return 0;
    }
    if (typeof value !== "number") throw new Error(`${path} is not a number.`);
    if (value < 0) throw new Error(`${path} is negative.`);
    if (value % 1 !== 0) throw new Error(`${path} is not a whole number.`);
    return value;
  }

  // The counts in the usage record of an API answer. Twin of Python's `llmcost.usage.read`, by the table that the control carries.
  function readUsage({ kinds, limit }, text) {
    const given = parsedJson(text);
    if (!isRecord(given)) throw new Error("That is JSON, but no record: it needs fields in braces, as in an API answer.");
    const record = ["usage", "usageMetadata"].map((name) => given[name]).find(isRecord) || given;
    const alike = kinds.filter(({ fields }) => fields.every((field) => record[field] !== undefined && record[field] !== null));
    if (!alike.length) {
      const names = Object.keys(record).filter((name) => /^[A-Za-z_][A-Za-z_0-9]{0,39}$/.test(name)).slice(0, 8);
      const known = kinds.map(({ name, fields }) => `${name} (${fields.join(", ")})`).join("; ");
      throw new Error(`No known usage record: it holds ${names.join(", ") || "no field that could be one"}. Known are ${known}.`);
    }
    const sumOf = (paths) => paths.reduce((sum, path) => sum + countAt(record, path), 0);
    const total = ["total_tokens", "totalTokenCount"].find((name) => record[name] !== undefined && record[name] !== null);
    const kind = alike.find((one) => !total || countAt(record, total) === sumOf(one.total_tokens));
    if (!kind) throw new Error(`The counts contradict each other: the total is not ${alike[0].total_tokens.join(" + ")}.`);
    const usage = { kind: kind.name };
    for (const name of COUNT_NAMES) {
      usage[name] = sumOf(kind[name]);
      if (usage[name] > limit) throw new Error(`${name} is more than ${grouped(String(limit))}: too many for one request.`);
    }
    const [input, cached, written, output, reasoning] = COUNT_NAMES.map((name) => grouped(String(usage[name])));
    if (usage.cached_tokens + usage.written_tokens > usage.input_tokens)
      throw new Error(`The counts contradict each other: ${cached} cached and ${written} written tokens in a prompt of ${input}.`);
    if (usage.reasoning_tokens > usage.output_tokens)
      throw new Error(`The counts contradict each other: ${reasoning} reasoning tokens in an output of ${output}.`);
    return usage;
  }

  // ---------------------------------------------------------------- state

  const choicesOf = (spec) => spec.choices || [];
  const slidersOf = (spec) => spec.sliders || [];
  const pastedOf = (spec) => (spec.paste ? spec.paste.counts : {});

  // True for a slider that is there whatever is chosen, or whose option is chosen.
  const counts = ({ when }, picks) => !when || picks[when[0]] === when[1];

  function call(name, state) {
    const formula = (llmcost.formulas || {})[name];
    if (!formula) throw new Error(`formula ${name} is not on this page`);
    return formula(state);
  }

  // The state with what a part of a control has on top of it: numbers first, then what stands for one.
  function onTop(now, extra = {}) {
    const [numbers, others] = [true, false].map((plain) => Object.entries(extra).filter(([, value]) => (typeof value === "number") === plain));
    const known = { ...now, ...Object.fromEntries(numbers) };
    return { ...known, ...Object.fromEntries(others.map(([name, value]) => [name, valueOf(value, known)])) };
  }

  // What stands for a number: itself, a name, a formula with its own values on top, a ratio, a sum, a chain, a search. Twin of Python's `llmcost.book.values`.
  function valueOf(value, known) {
    if (typeof value === "number") return value;
    if (typeof value === "string") return value in known ? known[value] : call(value, known);
    if ("value" in value) return valueOf(value.value, onTop(known, value.with));
    if (value.chain) return steady(residentTimes(value.chain, known), valueOf(value.chain.rate, known))[value.take](value.at);
    if (value.smallest) return smallest(value.smallest, known);
    if (value.ratio) { const [over, under] = value.ratio.map((one) => valueOf(one, known)); return under === 0 ? Infinity : over / under; }
    if (value.sum) return value.sum.reduce((all, one) => all + valueOf(one, known), 0);
    return call(value.formula, onTop(known, value.with));
  }

  const standingFor = (line) => ("value" in line ? { value: line.value, with: line.with } : { formula: line.formula, with: line.with });

  let lastTimes = { key: "", times: [] }; // a curve asks for the same times at every rate

  function residentTimes({ resident, most, names }, known) {
    const count = Math.floor(valueOf(most, known));
    const key = JSON.stringify([resident, count, names.map((name) => known[name])]);
    if (key !== lastTimes.key) {
      const times = Array.from({ length: Number.isFinite(count) ? Math.max(0, count) : 0 }, (_, i) => valueOf(resident, { ...known, batch: i + 1 }));
      lastTimes = { key, times };
    }
    return lastTimes.times;
  }

  // The steady state of a chain of batches; NaN where there is none. Twin of Python's `llmcost.queueing.Chain`.
  function steady(times, rate) {
    const most = times.length;
    const fullRate = most / times[most - 1];
    const overflow = rate / fullRate;
    if (!(rate > 0 && overflow < 1 && times.every((time) => time > 0 && time < Infinity))) return new Proxy({}, { get: () => () => NaN });
    const logs = [0];
    for (let n = 1; n <= most; n++) logs.push(logs[n - 1] + Math.log(rate) + Math.log(times[n - 1] / n));
    const top = logs.reduce((a, b) => Math.max(a, b));
    const weights = logs.map((log) => Math.exp(log - top));
    weights[most] /= 1 - overflow;
    const sum = weights.reduce((a, b) => a + b);
    const batch = weights.reduce((all, weight, n) => all + weight * n, 0) / sum;
    const waiting = weights[most] / sum;
    const queue = waiting * overflow / (1 - overflow);
    return {
      batch: () => batch,
      waiting_share: () => waiting,
      wait_seconds: () => queue / rate,
      stay_seconds: () => (batch + queue) / rate,
      batch_quantile: (share) => { let reached = 0; return weights.findIndex((weight) => (reached += weight / sum) >= share - 1e-12); },
      wait_quantile: (share) => Math.log(Math.max(waiting / (1 - share), 1)) / (fullRate - rate),
    };
  }

  // The smallest whole number that keeps a limit, by bisection; infinite where the highest does not.
  function smallest({ name, high: most, of, limit }, known) {
    const allowed = valueOf(limit, known);
    const keeps = (number) => valueOf(of, { ...known, [name]: number }) <= allowed;
    let [low, high] = [0, most];
    if (!keeps(high)) return Infinity;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (keeps(middle)) high = middle; else low = middle;
    }
    return high;
  }

  // ---------------------------------------------------------------- recorded runs

  // The point of the grid that is nearest to the state, axis by axis.
  function placeNear({ axes }, now) {
    return Object.fromEntries(Object.entries(axes).map(([name, values]) =>
      [name, values.reduce((best, value) => (Math.abs(value - now[name]) < Math.abs(best - now[name]) ? value : best))]));
  }

  // Every result of the nearest run; NaN where there was none.
  function resultsNear(runs, now) {
    const near = placeNear(runs, now);
    const index = Object.entries(runs.axes).reduce((place, [name, values]) => place * values.length + values.indexOf(near[name]), 0);
    return Object.fromEntries(Object.entries(runs.columns).map(([name, column]) => [name, column[index] === null ? NaN : column[index]]));
  }

  function toldNear(spec, now) {
    const near = placeNear(spec.runs, now);
    const sliders = slidersOf(spec).filter(({ name }) => name in near);
    const isExact = sliders.every(({ name }) => now[name] === near[name]);
    const told = sliders.map(({ name, label: text, unit }) => `${text[0].toLowerCase()}${text.slice(1)} ${format(near[name], unit)}`).join(", ");
    return `${isExact ? "This very run was made" : "Nearest run"}${told ? ": " : ""}${told}.`;
  }

  // Complete picks: what is missing or not on offer becomes the default.
  function settle(spec, picks) {
    const settled = {};
    for (const { name, options, value } of choicesOf(spec))
      settled[name] = options.some(({ key }) => key === picks[name]) ? picks[name] : value;
    for (const { name, values, value } of slidersOf(spec))
      settled[name] = values.includes(picks[name]) ? picks[name] : value;
    for (const [name, count] of Object.entries(pastedOf(spec))) {
      const isCount = Number.isInteger(picks[name]) && picks[name] >= 0 && picks[name] <= spec.paste.limit;
      settled[name] = isCount ? picks[name] : count;
    }
    return settled;
  }

  const chosenOptions = (spec, picks) =>
    choicesOf(spec).map(({ name, options }) => options.find(({ key }) => key === picks[name]) || options[0]);

  // The names that the reader moves or pastes while these are the picks.
  const setByHand = (spec, picks) => [...slidersOf(spec).filter((slider) => counts(slider, picks)).map(({ name }) => name), ...Object.keys(pastedOf(spec))];

  // Everything a formula may read; later wins. `picks` rides along, so that a drawing knows the chosen options.
  function state(spec, picks = {}) {
    const settled = settle(spec, picks);
    const facts = chosenOptions(spec, settled).map((option) => option.facts);
    const byHand = setByHand(spec, settled).map((name) => ({ [name]: settled[name] }));
    const now = Object.assign({}, spec.fixed, ...facts, ...byHand, { picks: settled });
    return spec.runs ? Object.assign(now, resultsNear(spec.runs, now)) : now;
  }

  function merged(base, change) {
    const isPlain = (value) => value && typeof value === "object" && !Array.isArray(value);
    const result = { ...base };
    for (const key of Object.keys(change))
      result[key] = isPlain(change[key]) && isPlain(result[key]) ? merged(result[key], change[key]) : change[key];
    return result;
  }

  // The plot and the number format that the chosen options ask for.
  function settings(spec, now) {
    const options = chosenOptions(spec, now.picks || settle(spec, {}));
    const plot = options.reduce((base, option) => (base && option.plot ? merged(base, option.plot) : base), spec.plot);
    return { plot, binary: options.some((option) => option.format && option.format.binary) };
  }

  function readouts(spec, now) {
    const { binary } = settings(spec, now);
    return (spec.outputs || []).map((line) => {
      const [value, unit] = [valueOf(standingFor(line), now), line.unit];
      return { value, text: Number.isFinite(value) ? format(value, unit, binary) : "– not defined here" };
    });
  }

  // A value as it is typed in Python: where a scale is given and twelve digits are all it has, as in 3/1e6.
  function pythonLiteral(value, scale) {
    if (typeof value !== "number") return typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
    const short = Number((value * Number(scale)).toPrecision(12));
    if (scale && Math.abs(short / Number(scale) - value) <= 1e-14 * Math.abs(value)) return `${pythonLiteral(short)}/${scale}`;
    if (value && Math.abs(value) < 1e-4) return value.toExponential().replace(/e-(\d)$/, "e-0$1");
    return Number.isFinite(value) ? String(value).replace("e+", "e") : `float("${value > 0 ? "inf" : value < 0 ? "-inf" : "nan"}")`;
  }

  // The one line that gives the first output. A name is written out unless a positional record supplies it.
  function pythonLine(spec, now) {
    if (!spec.python) return "";
    const extra = (spec.outputs && spec.outputs[0] && spec.outputs[0].with) || {};
    const options = chosenOptions(spec, now.picks);
    if (spec.python.template) {
      const records = Object.fromEntries(choicesOf(spec).map(({ name }, i) => [name, options[i].python]));
      return spec.python.template.replace(/\{(\w+)\}/g, (_, name) => records[name] || pythonLiteral(now[name]));
    }
    const typed = new Set([...Object.keys(spec.fixed || {}), ...Object.keys(spec.runs ? spec.runs.columns : {})]);
    for (const { facts, python } of options)
      for (const name of Object.keys(facts || {})) python ? typed.delete(name) : typed.add(name);
    for (const name of [...setByHand(spec, now.picks), ...Object.keys(extra)]) typed.add(name);
    const values = onTop(now, extra);
    const scales = spec.python.scales || {};
    const named = spec.python.names.filter((name) => typed.has(name)).map((name) => `${name}=${pythonLiteral(values[name], scales[name])}`);
    return `at(${[spec.python.call, ...options.map(({ python }) => python).filter(Boolean), ...named].join(", ")})`;
  }

  function evaluate(spec, picks = {}) {
    const now = state(spec, picks);
    return { state: now, outputs: readouts(spec, now), python: pythonLine(spec, now) };
  }

  // "model=llama_3_1_8b&context=8192" -> the picks on offer, and the parts that are not.
  function picksFromQuery(spec, query) {
    const picks = {};
    const ignored = [];
    for (const part of query.split("&").filter(Boolean)) {
      let [name, text = ""] = part.split("=");
      try {
        [name, text] = [decodeURIComponent(name), decodeURIComponent(text)];
      } catch (error) { /* a stray percent sign: compare as it stands */ }
      const choice = choicesOf(spec).find((one) => one.name === name);
      const slider = slidersOf(spec).find((one) => one.name === name);
      const isCount = name in pastedOf(spec) && /^\d{1,10}$/.test(text) && Number(text) <= spec.paste.limit;
      if (isCount) picks[name] = Number(text);
      else if (choice && choice.options.some(({ key }) => key === text)) picks[name] = text;
      else if (slider && text.trim() && slider.values.includes(Number(text))) picks[name] = Number(text);
      else ignored.push(`${name}=${text}`);
    }
    for (const { name } of idle(spec, settle(spec, picks)).filter((slider) => slider.name in picks)) {
      ignored.push(`${name}=${picks[name]}`);
      delete picks[name];
    }
    return { picks, ignored };
  }

  // The sliders that wait for an option that is not chosen.
  const idle = (spec, picks) => slidersOf(spec).filter((slider) => !counts(slider, picks) && !(slider.name in pastedOf(spec)));

  function queryFromPicks(spec, picks) {
    const left = idle(spec, settle(spec, picks)).map(({ name }) => name);
    return Object.keys(picks).filter((name) => !left.includes(name))
      .map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(picks[name])}`).join("&");
  }

  // ---------------------------------------------------------------- drawing: pieces

  const FONT = 13;
  const SERIES = 6; // classes s0 to s5: a color, a dash and a mark each

  const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
  const px = (number) => String(Math.round(number * 10) / 10);
  const textWidth = (text) => text.length * FONT * 0.56;
  const seriesClass = (index) => `s${index % SERIES}`;

  function tag(name, attributes, content = "") {
    const written = Object.keys(attributes).filter((key) => attributes[key] !== undefined)
      .map((key) => ` ${key}="${typeof attributes[key] === "number" ? px(attributes[key]) : escaped(attributes[key])}"`);
    return `<${name}${written.join("")}>${content}</${name}>`;
  }

  const label = (x, y, text, anchor = "start", kind = undefined) =>
    tag("text", { x, y, "text-anchor": anchor === "start" ? undefined : anchor, class: kind }, escaped(text));

  // A label that wants to be centered on x but must stay between two edges.
  function labelWithin(x, y, text, left, right, kind) {
    const half = textWidth(text) / 2;
    if (x - half < left) return label(left, y, text, "start", kind);
    if (x + half > right) return label(right, y, text, "end", kind);
    return label(x, y, text, "middle", kind);
  }

  // What the picture says now, in words.
  function description(spec, now, subject) {
    const { binary } = settings(spec, now);
    const options = chosenOptions(spec, now.picks || settle(spec, {}));
    const set = [
      ...choicesOf(spec).map((choice, i) => `${choice.label}: ${options[i].label}`),
      ...slidersOf(spec).filter((slider) => counts(slider, now.picks)).map((slider) => `${slider.label}: ${format(now[slider.name], slider.unit, binary)}`),
    ];
    const read = readouts(spec, now).map(({ text }, i) => `${spec.outputs[i].label}: ${text}`);
    return [subject, ...set, ...read].filter(Boolean).join(". ") + ".";
  }

  function picture(spec, now, { width, height, subject, body }) {
    const [title, desc] = [`${spec.id}-title`, `${spec.id}-desc`];
    return tag("svg", {
      xmlns: "http://www.w3.org/2000/svg", class: `plot plot-${settings(spec, now).plot.kind}`, role: "img",
      "aria-labelledby": `${title} ${desc}`, width, height, viewBox: `0 0 ${px(width)} ${px(height)}`, "font-size": FONT, fill: "currentColor",
    }, tag("title", { id: title }, escaped(spec.title || spec.id)) + tag("desc", { id: desc }, escaped(description(spec, now, subject))) + body);
  }

  // Labeled samples in as many rows as they need: [{sample(x, y), text}] from (left, top) on.
  function legend(entries, left, top, right) {
    let [x, y] = [left, top];
    const drawn = entries.map(({ sample, text }) => {
      const room = 28 + textWidth(text) + 18;
      if (x > left && x + room - 18 > right) [x, y] = [left, y + 21];
      const one = sample(x, y - 4.5) + label(x + 28, y, text);
      x += room;
      return one;
    });
    return { body: drawn.join(""), bottom: entries.length ? y : top - 21 };
  }

  // ---------------------------------------------------------------- drawing: scales and ticks

  function scale(kind, [low, high], [from, to]) {
    const on = kind === "log" ? Math.log : Number;
    return (value) => from + ((on(value) - on(low)) / (on(high) - on(low))) * (to - from);
  }

  function niceStep(step) {
    const decade = 10 ** Math.floor(Math.log10(step));
    const lead = step / decade;
    return decade * (lead > 5.001 ? 10 : lead > 2.501 ? 5 : lead > 2.001 ? 2.5 : lead > 1.001 ? 2 : 1);
  }

  // What ticks count in: a price per million tokens or per hour, otherwise the base unit.
  const grain = (unit) => (unit in PRICES ? 1 / PRICES[unit].scale : 1);

  // The step of a linear axis; in binary bytes it is nice in KiB, MiB or GiB.
  function linearStep(span, room, unit, binary) {
    const isBinary = binary && unit.startsWith("byte") && span >= 1024;
    const one = isBinary ? 1024 ** Math.floor(Math.log(span) / Math.log(1024)) : grain(unit);
    return niceStep(span / one / room) * one;
  }

  function linearTicks(low, high, room, unit, binary) {
    const step = linearStep(high - low, room, unit, binary);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(Number((i * step).toPrecision(12)));
    return ticks;
  }

  // Powers of the base, thinned from the top down; where there are under three, also their 2- and 5-fold.
  function logTicks(low, high, room, base) {
    const log = (value) => Math.log(value) / Math.log(base);
    const [first, last] = [Math.ceil(log(low) - 1e-9), Math.floor(log(high) + 1e-9)];
    const every = Math.max(1, Math.ceil((last - first + 1) / room));
    const ticks = [];
    for (let power = last; power >= first; power -= every) ticks.unshift(base ** power);
    if (last - first >= 2 || base === 2) return ticks;
    const fine = [];
    for (let power = first - 1; power <= last; power++) for (const lead of [1, 2, 5]) fine.push(Number(`${lead}e${power}`));
    return fine.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
  }

  function ticksOf({ scale: kind, unit, name }, [low, high], room, binary) {
    if (kind !== "log") return linearTicks(low, high, room, unit, binary);
    const base = (name && unit === "token") || (binary && unit.startsWith("byte")) ? 2 : 10;
    return logTicks(low / grain(unit), high / grain(unit), room, base).map((tick) => tick * grain(unit));
  }

  const withoutZeros = (text) => text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");

  // Units without prefixes stand once, in the axis title; the others stand at each tick.
  const titleUnit = (unit) => PLAIN[unit] || (COUNTS[unit] ? `${COUNTS[unit]}s` : unit in PRICES ? `$${PRICES[unit].words}` : "");

  // "0.50", never "0.5"; no decimals where there are none.
  const moneyTick = (x) => (x >= 1e6 ? `${withoutZeros(digits(x / 1e6))} M` : withoutZeros(digits(x)).replace(/^[\d,]+\.\d$/, (short) => `${short}0`));

  // `most` is the end of a linear axis: its ticks in seconds all have the prefix of the longest.
  function tickText(value, unit, binary, most) {
    const size = Math.abs(value);
    const sign = value < 0 ? "−" : "";
    if (unit === "usd") return `${sign}$${moneyTick(size)}`;
    if (unit in PRICES) return sign + moneyTick(size * PRICES[unit].scale);
    if (unit === "second" && most) {
      const prefix = seconds(most).split(" ")[1];
      return `${sign}${withoutZeros(digits(size / TIME[prefix.slice(0, -1)]))} ${prefix}`;
    }
    const text = withoutZeros(format(value, unit, binary));
    return titleUnit(unit) ? text.replace(/ (tokens?|sequences?|heads?|layers?|tokens\/s|requests\/s|FLOP\/byte)$/, "") : text;
  }

  const axisTitle = ({ label: name, unit }) => (titleUnit(unit) ? `${name} (${titleUnit(unit)})` : name);

  // ---------------------------------------------------------------- drawing: curves

  const SAMPLES = 200;

  function xDomain({ name, min, max, scale: kind }, spec, curves) {
    const slider = slidersOf(spec).find((one) => one.name === name);
    const known = [...(slider ? slider.values : []), ...curves.flatMap(({ points }) => (points || []).map(([x]) => x))]
      .filter((x) => kind !== "log" || x > 0);
    const low = min === undefined || min === null || (kind === "log" && min <= 0) ? Math.min(...known) : min;
    const high = max === undefined || max === null ? Math.max(...known) : max;
    return [low, high];
  }

  function sampled(curve, axis, [low, high], now, runs) {
    if (curve.points) return curve.points;
    if (curve.recorded) return runs.axes[axis.name].map((x) => [x, resultsNear(runs, { ...now, ...curve.with, [axis.name]: x })[curve.recorded]]);
    const at = scale("linear", [0, SAMPLES], axis.scale === "log" ? [Math.log(low), Math.log(high)] : [low, high]);
    return Array.from({ length: SAMPLES + 1 }, (_, i) => {
      const x = i === SAMPLES ? high : axis.scale === "log" ? Math.exp(at(i)) : at(i);
      return [x, valueAt(curve, axis, x, now)];
    });
  }

  const valueAt = (curve, axis, x, now) => valueOf(standingFor(curve), { ...now, [axis.name]: x });

  // The given range, or the data's with headroom, ending on a tick so that it does not twitch as a slider moves.
  function yDomain(axis, values, binary) {
    const isLog = axis.scale === "log";
    const shown = values.filter((y) => Number.isFinite(y) && (!isLog || y > 0));
    const given = (bound) => Number.isFinite(bound) && (!isLog || bound > 0);
    const [least, most] = shown.length ? [Math.min(...shown), Math.max(...shown)] : [1, 10];
    if (isLog) {
      const one = grain(axis.unit);
      const low = given(axis.min) ? axis.min : 10 ** Math.floor(Math.log10(least / one) + 1e-9) * one;
      const high = given(axis.max) ? axis.max : 10 ** Math.ceil(Math.log10(most / one) - 1e-9) * one;
      return high > low ? [low, high] : [low, low * 10];
    }
    const low = given(axis.min) ? axis.min : Math.min(0, least);
    if (given(axis.max)) return [low, axis.max];
    const span = (most - low) * 1.04 || 1;
    const step = linearStep(span, 5, axis.unit, binary);
    return [given(axis.min) ? low : Math.floor(low / step) * step, low + Math.ceil(span / step) * step];
  }

  // True where b lies on the straight line from a to c, to a twentieth of a pixel.
  function isBetween([ax, ay], [bx, by], [cx, cy]) {
    const span = Math.hypot(cx - ax, cy - ay) || 1;
    return Math.abs((cx - ax) * (by - ay) - (cy - ay) * (bx - ax)) / span < 0.05;
  }

  // Path data; a gap wherever the curve is not defined. Points on a straight stretch are left out, at most ten in a row.
  function pathData(points, toX, toY) {
    const at = points.map(([x, y]) => [toX(x), Math.max(-1e4, Math.min(1e4, toY(y)))]);
    const isDrawn = (point) => point && point.every(Number.isFinite);
    let path = "";
    let kept = null;
    let skipped = 0;
    at.forEach((point, i) => {
      if (!isDrawn(point)) { kept = null; return; }
      if (kept && isDrawn(at[i + 1]) && skipped < 10 && isBetween(kept, point, at[i + 1])) { skipped += 1; return; }
      path += `${kept ? "L" : "M"}${px(point[0])} ${px(point[1])}`;
      kept = point;
      skipped = 0;
    });
    return path;
  }

  function mark(x, y, index, size = 4.5, role = "mark") {
    const kind = `${role} ${seriesClass(index)}`;
    const shapes = [
      () => tag("circle", { cx: x, cy: y, r: size, class: kind }),
      () => tag("path", { d: `M${px(x - size)} ${px(y - size)}h${2 * size}v${2 * size}h${-2 * size}z`, class: kind }),
      () => tag("path", { d: `M${px(x)} ${px(y - size - 1)}l${size + 1} ${size + 1}l${-size - 1} ${size + 1}l${-size - 1} ${-size - 1}z`, class: kind }),
      () => tag("path", { d: `M${px(x)} ${px(y - size - 1)}l${size + 1} ${2 * size + 1}h${-2 * size - 2}z`, class: kind }),
    ];
    return shapes[index % shapes.length]();
  }

  const line = (d, index) => tag("path", { d, class: `line ${seriesClass(index)}`, fill: "none", stroke: "currentColor" });

  // Label positions in the order given, at least `gap` apart, inside [top, bottom].
  function spread(wanted, gap, top, bottom) {
    const order = wanted.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
    const placed = [];
    order.forEach(([y, i], rank) => { placed[i] = Math.max(y, rank ? placed[order[rank - 1][1]] + gap : top); });
    for (let rank = order.length - 1, limit = bottom; rank >= 0; rank--, limit -= gap) placed[order[rank][1]] = Math.min(placed[order[rank][1]], limit);
    return placed;
  }

  // Labels at the line ends, each led to by its own line.
  function endLabels(series, toY, edge, top, bottom) {
    const ends = series.map(({ points }) => {
      const y = toY((points.filter((point) => Number.isFinite(toY(point[1]))).pop() || [0, NaN])[1]);
      return Number.isFinite(y) ? y : bottom;
    });
    const places = spread(ends.map((y) => Math.max(top, Math.min(bottom, y))), 17, top + 4, bottom - 2);
    return series.map(({ text, index }, i) => {
      const inside = ends[i] >= top && ends[i] <= bottom;
      const start = inside ? `M${px(edge)} ${px(ends[i])}L` : "M";
      return line(`${start}${px(edge + 8)} ${px(places[i])}h16`, index) + label(edge + 29, places[i] + 4.5, text);
    }).join("");
  }

  function axes(toX, toY, area, { xTicks, yTicks, xText, yText, plot }) {
    const { left, right, top, bottom } = area;
    const grid = [
      ...yTicks.map((value) => tag("path", { d: `M${px(left)} ${px(toY(value))}H${px(right)}`, class: "grid" })),
      ...xTicks.map((value) => tag("path", { d: `M${px(toX(value))} ${px(top)}V${px(bottom)}`, class: "grid" })),
    ];
    return [
      ...grid,
      tag("path", { d: `M${px(left)} ${px(bottom)}H${px(right)}`, class: "axis" }),
      ...yTicks.map((value) => label(left - 8, toY(value) + 4.5, yText(value), "end", "tick")),
      ...xTicks.map((value) => label(toX(value), bottom + 19, xText(value), "middle", "tick")),
      label(0, 14, axisTitle(plot.y), "start", "axis-title"),
      label(right, bottom + 40, axisTitle(plot.x), "end", "axis-title"),
    ].join("");
  }

  // A line at the slider's value and a dot on each curve.
  function marker(series, toX, toY, { left, right, top, bottom }, { plot, now, binary, domain }) {
    const value = now[plot.x.name];
    if (!Number.isFinite(value) || value < domain[0] || value > domain[1]) return "";
    const x = toX(value);
    const dots = series.filter(({ curve }) => curve.formula || curve.value).map(({ curve, index }) => {
      const y = toY(valueAt(curve, plot.x, value, now));
      return y >= top - 0.5 && y <= bottom + 0.5 ? tag("circle", { cx: x, cy: y, r: 5, class: `dot ${seriesClass(index)}` }) : "";
    });
    return tag("path", { d: `M${px(x)} ${px(top)}V${px(bottom)}`, class: "marker" }) + dots.join("")
      + labelWithin(x, top - 7, format(value, plot.x.unit, binary), left, right, "marker-label");
  }

  // The first place beside (x, y) where a text stays inside the area and off what is taken; then that place is taken too.
  function placeBeside(x, y, text, { left, right, top, bottom }, taken) {
    const wide = textWidth(text);
    const boxes = [[x + 9, y + 7], [x - 9 - wide, y + 7], [x - 9 - wide, y - 24], [x + 9, y - 24], [x + 14, y - 8], [x - 14 - wide, y - 8]]
      .map(([from, above]) => ({ from, to: from + wide, above, below: above + 17 }));
    const isFree = (box) => box.from >= left && box.to <= right && box.above >= top && box.below <= bottom
      && taken.every((other) => box.to < other.from || box.from > other.to || box.below < other.above || box.above > other.below);
    const box = boxes.find(isFree) || boxes[0];
    taken.push(box);
    return label(Math.max(left, Math.min(box.from, right - wide)), Math.min(box.above, bottom - 17) + 13, text, "start", "marker-label");
  }

  // Points that move with the state. One beyond an axis stands at its end as an arrowhead and says where it is.
  function drawPins(pins, toX, toY, area, { plot, binary }) {
    const placed = pins.map(({ point, at: [x, y], index }) => {
      const [wantX, wantY] = [toX(x), toY(y)];
      const [atX, atY] = [Math.max(area.left, Math.min(area.right, wantX)), Math.max(area.top, Math.min(area.bottom, wantY))];
      const beyond = [Math.sign(wantX - atX), Math.sign(wantY - atY)].map((side, i) => (Math.abs([wantX - atX, wantY - atY][i]) > 0.5 ? side : 0));
      const where = [beyond[0] && format(x, plot.x.unit, binary), beyond[1] && format(y, plot.y.unit, binary)].filter(Boolean);
      return { x: atX, y: atY, beyond, index, text: [point.label, ...where].join(", ") };
    }).filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
    const taken = placed.map(({ x, y }) => ({ from: x - 7, to: x + 7, above: y - 7, below: y + 7 }));
    const shapes = placed.map(({ x, y, beyond: [dx, dy], index }) => {
      if (!dx && !dy) return mark(x, y, index, 6.5, "pin");
      const turned = Math.atan2(dy, dx) * 180 / Math.PI;
      return tag("path", { d: "M0 0l-12 -7v14z", transform: `translate(${px(x)} ${px(y)}) rotate(${px(turned)})`, class: `pin ${seriesClass(index)}` });
    });
    return shapes.join("") + placed.map(({ x, y, text }) => placeBeside(x, y, text, area, taken)).join("");
  }

  function drawCurves(spec, now, width, plot, binary) {
    const domain = xDomain(plot.x, spec, plot.curves);
    const series = plot.curves.map((curve, index) => ({ curve, index, text: curve.label, points: sampled(curve, plot.x, domain, now, spec.runs) }));
    const pins = (plot.marks || []).map((point, i) => ({
      point, index: plot.curves.length + i, at: [point.x, point.y].map((line) => valueOf(standingFor(line), now)),
    }));
    const range = yDomain(plot.y, [...series.flatMap(({ points }) => points.map(([, y]) => y)), ...pins.map(({ at }) => at[1])], binary);
    const [xText, yText] = [[plot.x, domain], [plot.y, range]].map(([axis, [, end]]) => (value) =>
      tickText(value, axis.unit, binary, axis.scale === "log" ? undefined : end));

    const lines = series.filter(({ curve }) => !curve.marks);
    const longest = Math.max(0, ...lines.map(({ text }) => textWidth(text)));
    const bottom = Math.max(230, Math.min(350, Math.round(width * 0.48)));
    const isDirect = width >= 520 && longest <= width * 0.3 && lines.length * 17 < bottom - 40;
    const yTicks = ticksOf(plot.y, range, Math.floor((bottom - 40) / 42), binary);
    const widestTick = Math.max(...domain.map((value) => textWidth(xText(value))));
    const area = {
      top: 42, bottom, left: 14 + Math.max(16, ...yTicks.map((value) => textWidth(yText(value)))),
      right: width - (isDirect && lines.length ? longest + 34 : Math.max(12, widestTick / 2)),
    };
    const toX = scale(plot.x.scale, domain, [area.left, area.right]);
    const toY = scale(plot.y.scale, range, [area.bottom, area.top]);
    const xTicks = ticksOf(plot.x, domain, Math.max(2, Math.floor((area.right - area.left) / (widestTick + 22))), binary);

    const clip = `${spec.id}-clip`;
    const isInside = ([x, y]) => x >= domain[0] && x <= domain[1] && y >= range[0] && y <= range[1];
    const paths = lines.map(({ points, index }) => line(pathData(points, toX, toY), index));
    const marks = series.filter(({ curve }) => curve.marks)
      .map(({ points, index }) => points.filter(isInside).map(([x, y]) => mark(toX(x), toY(y), index)).join(""));
    const unlabeled = isDirect ? series.filter(({ curve }) => curve.marks) : series;
    const key = legend(unlabeled.map(({ curve, text, index }) => ({
      text, sample: (x, y) => (curve.marks ? mark(x + 11, y, index) : line(`M${px(x)} ${px(y)}h22`, index)),
    })), 0, area.bottom + 66, width);
    const body = [
      tag("clipPath", { id: clip }, tag("rect", { x: area.left, y: area.top - 2, width: area.right - area.left + 2, height: area.bottom - area.top + 4 })),
      axes(toX, toY, area, { xTicks, yTicks, xText, yText, plot }),
      tag("g", { "clip-path": `url(#${clip})` }, paths.join("")),
      marks.join(""),
      isDirect ? endLabels(lines, toY, area.right, area.top, area.bottom) : "",
      marker(series, toX, toY, area, { plot, now, binary, domain }),
      drawPins(pins, toX, toY, area, { plot, binary }),
      key.body,
    ].join("");
    const subject = [`${plot.y.label} against ${plot.x.label.toLowerCase()}`, `lines: ${series.map(({ text }) => text).join(", ")}`,
      ...pins.map(({ point, at: [x, y] }) => `${point.label} at ${format(x, plot.x.unit, binary)} and ${format(y, plot.y.unit, binary)}`)].join("; ");
    return { height: key.bottom + 12, subject, body };
  }

  // ---------------------------------------------------------------- drawing: bars

  // What a drawing names without a parameter of its own: by its name in the state, or by a formula.
  function amount(named, now) {
    if (!named) return NaN;
    return named.name in now ? now[named.name] : call(named.formula, onTop(now, named.with));
  }

  const MOST_CUTS = 60;

  // How many steps of a part lie between two ticks; 0, for no ticks, where these would be closer than two pixels.
  function cutEvery(steps, width) {
    const every = Math.ceil(Math.max(1, niceStep(steps / MOST_CUTS)));
    return steps > 1 && (width / steps) * every >= 2 ? every : 0;
  }

  function cuts(from, to, top, bottom, steps, every) {
    const at = Array.from({ length: every ? Math.ceil(steps / every) - 1 : 0 }, (_, i) => from + ((to - from) / steps) * every * (i + 1));
    return at.map((x) => `M${px(x)} ${px(top)}V${px(bottom)}`).join("");
  }

  // "141 GB of 171 GB: fits, 30.0 GB to spare"
  function fitText(total, limit, show) {
    if (!Number.isFinite(limit)) return show(total);
    return total > limit ? `${show(total)}: does not fit, ${show(total - limit)} too much` : `${show(total)}: fits, ${show(limit - total)} to spare`;
  }

  function drawBars(spec, now, width, plot, binary) {
    const show = (value) => format(value, plot.unit, binary);
    const names = [...new Set(plot.bars.flatMap(({ parts }) => parts.map((part) => part.label)))];
    const bars = plot.bars.map(({ label: text, parts, with: shared }) => {
      const states = parts.map((part) => onTop({ ...now, ...shared }, part.with));
      const values = parts.map((part) => valueOf(standingFor(part), { ...now, ...shared }));
      const steps = parts.map((part, i) => Math.round(amount(part.repeats, states[i])));
      return { text, parts, values, steps, total: values.reduce((sum, value) => sum + (Number.isFinite(value) ? value : 0), 0) };
    });
    const limit = amount(plot.limit, now);
    const most = Math.max(...bars.map(({ total }) => total), Number.isFinite(limit) ? limit : 0) || 1;
    const [left, right] = [1, width - 24];
    const step = linearStep(most * 1.02, 5, plot.unit, binary);
    const end = Math.max(most * 1.02, Math.ceil((most * 0.9) / step) * step);
    const toX = scale("linear", [0, end], [left, right]);

    const hatch = `${spec.id}-hatch`;
    const thickness = 34;
    const hasLimit = Number.isFinite(limit);
    let y = hasLimit ? 36 : 6;
    const drawn = bars.map(({ text, parts, values, steps, total }) => {
      const fits = fitText(total, limit, show);
      const kind = total > limit ? "over" : hasLimit ? "fits" : "bar-title";
      const isWide = textWidth(text) + textWidth(fits) + 24 < width;
      const head = label(left, y + 14, text, "start", "bar-title")
        + (isWide ? label(width, y + 14, fits, "end", kind) : label(left, y + 33, fits, "start", kind));
      const top = y + (isWide ? 24 : 42);
      const every = steps.map((count, i) => cutEvery(count, toX(values[i]) - left));
      let sum = 0;
      const segments = parts.map((part, i) => {
        if (!(values[i] > 0)) return "";
        const [from, to] = [toX(sum), toX((sum += values[i]))];
        const clear = limit < sum ? Math.max(from, toX(limit)) : to; // a label keeps off the hatching
        const inner = textWidth(part.label) + 14 < clear - from ? label((from + clear) / 2, top + thickness / 2 + 4.5, part.label, "middle") : "";
        const series = seriesClass(names.indexOf(part.label));
        return tag("rect", { x: from, y: top, width: Math.max(1, to - from - 1.5), height: thickness, class: `part ${series}` })
          + (every[i] ? tag("path", { d: cuts(from, to, top, top + thickness, steps[i], every[i]), class: `cut ${series}` }) : "") + inner;
      });
      const over = total > limit
        ? tag("rect", { x: toX(limit), y: top, width: toX(total) - toX(limit), height: thickness, class: "overflow", fill: `url(#${hatch})` }) : "";
      const key = legend(parts.map((part, i) => ({
        text: `${part.label} ${show(values[i])}${every[i] > 1 ? `, a tick every ${every[i]} of ${format(steps[i], "1")} steps` : ""}`,
        sample: (x, middle) => tag("rect", { x: x + 8, y: middle - 6, width: 13, height: 13, class: `part ${seriesClass(names.indexOf(part.label))}` }),
      })), left - 8, top + thickness + 21, width);
      y = key.bottom + 26;
      return { body: head + segments.join("") + over + key.body, top, bottom: top + thickness };
    });
    const limitLine = hasLimit ? [
      ...drawn.map(({ top, bottom }) => tag("path", { d: `M${px(toX(limit))} ${px(top - 4)}V${px(bottom + 6)}`, class: "limit" })),
      tag("path", { d: `M${px(left + 1)} 3V19`, class: "limit" }), label(left + 12, 16, `${plot.limit.label}: ${show(limit)}`),
    ].join("") : "";
    const ticks = linearTicks(0, end, Math.max(2, Math.min(6, Math.floor(width / 90))), plot.unit, binary);
    const axis = tag("path", { d: `M${px(left)} ${px(y - 4)}H${px(right)}`, class: "axis" })
      + ticks.map((value) => tag("path", { d: `M${px(toX(value))} ${px(y - 4)}v5`, class: "axis" })
        + labelWithin(toX(value), y + 16, tickText(value, plot.unit, binary, end), 0, width, "tick")).join("");
    const body = tag("pattern", { id: hatch, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      tag("path", { d: "M0 0V7", class: "hatch" })) + drawn.map((one) => one.body).join("") + limitLine + axis;
    const subject = bars.map(({ text, total }) => `${text}: ${fitText(total, limit, show)}`).join("; ");
    return { height: y + 24, subject, body };
  }

  // ---------------------------------------------------------------- drawing: heads

  function drawHeads(spec, now, width, plot) {
    const [queries, kvs] = [now[plot.query], now[plot.kv]];
    for (const [name, value] of [[plot.query, queries], [plot.kv, kvs]])
      if (!Number.isInteger(value) || value < 1) throw new Error(`${name} has no whole number here`);
    const owner = Array.from({ length: queries }, (_, i) => call("kv_head_of_query_head", { query_head: i, n_heads: queries, n_kv_heads: kvs }));

    // A gap after each group makes sharing visible without color.
    const gap = kvs < queries ? 0.8 : 0;
    const steps = owner.map((kv, i) => (i ? 1 + (kv === owner[i - 1] ? 0 : gap) : 0));
    const pitch = (width - 20) / (steps.reduce((sum, step) => sum + step, 0) + 1);
    const radius = Math.max(1, Math.min(8, pitch * 0.4));
    const spacing = Math.min(pitch, 40);
    let at = (width - spacing * steps.reduce((sum, step) => sum + step, 0)) / 2;
    const queryX = steps.map((step) => (at += step * spacing));
    const kvX = Array.from({ length: kvs }, (_, kv) => {
      const mine = queryX.filter((_, i) => owner[i] === kv);
      return mine.reduce((sum, x) => sum + x, 0) / mine.length;
    });
    const [top, bottom] = [40, width >= 520 ? 132 : 112];
    const kvRadius = Math.max(radius, Math.min(9, (spacing * queries) / kvs * 0.4));
    const group = (kv) => seriesClass(kv % 3);
    const body = [
      ...owner.map((kv, i) => tag("path", { d: `M${px(queryX[i])} ${px(top)}L${px(kvX[kv])} ${px(bottom)}`, class: `share ${group(kv)}`, "stroke-width": radius < 3 ? 0.8 : 1.5 })),
      ...owner.map((kv, i) => tag("circle", { cx: queryX[i], cy: top, r: radius, class: `head ${group(kv)}` })),
      ...kvX.map((x, kv) => tag("circle", { cx: x, cy: bottom, r: kvRadius, class: `head kv-head ${group(kv)}` })),
      label(width / 2, 18, format(queries, "1") + (queries === 1 ? " query head" : " query heads"), "middle"),
      label(width / 2, bottom + 32, sharingText(queries, kvs), "middle"),
    ].join("");
    return { height: bottom + 46, subject: `${queries} query heads above; ${sharingText(queries, kvs)}`, body };
  }

  function sharingText(queries, kvs) {
    const heads = `${format(kvs, "1")} KV ${kvs === 1 ? "head" : "heads"}`;
    return queries === kvs ? `${heads}: one for each query head` : `${heads}: one for every ${withoutZeros(digits(queries / kvs))} query heads`;
  }

  // The picture of a control as SVG text, `width` pixels wide; empty when the control has none.
  function draw(spec, now, width) {
    const { plot, binary } = settings(spec, now);
    if (!plot) return "";
    const kinds = { curves: drawCurves, bars: drawBars, heads: drawHeads };
    if (!kinds[plot.kind]) throw new Error(`plot kind ${plot.kind} is not one of ${Object.keys(kinds).join(", ")}`);
    const wide = Math.max(260, width);
    return picture(spec, now, { width: wide, ...kinds[plot.kind](spec, now, wide, plot, binary) });
  }

  Object.assign(llmcost, { format, parse, grade, verdict, readUsage, state, evaluate, draw, picksFromQuery, queryFromPicks, toldNear });
  if (typeof document === "undefined") return;

  // ---------------------------------------------------------------- the page: pieces

  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  const button = (text, onclick) => make("button", { type: "button", onclick }, text);

  function debounced(action, wait) {
    let timer = 0;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(action, wait, ...values);
    };
  }

  function oncePerFrame(action) {
    let waiting = false;
    return () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; action(); });
    };
  }

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  // A polite announcement, made once the reader's hand rests.
  function announcer(figure) {
    const region = make("p", { class: "explore-status", role: "status" });
    figure.append(region);
    return debounced((text) => { region.textContent = text; }, 700);
  }

  // A range input over the indices of a list, with its label and its value as text.
  function rangeControl({ id, text, last, onpick }) {
    const output = make("output", { for: id, "aria-live": "off" });
    const input = make("input", { type: "range", id, min: 0, max: last, step: 1, oninput: () => onpick(Number(input.value)) });
    const element = make("div", { class: "control" }, make("label", { for: id }, text), output, input);
    const show = (index, value) => {
      if (Number(input.value) !== index) input.value = index;
      setText(output, value);
      input.setAttribute("aria-valuetext", value);
    };
    return { element, show };
  }

  // ---------------------------------------------------------------- the page: the address

  // In JupyterLab the address belongs to the workbench.
  const ownsAddress = () => !document.body.hasAttribute("data-jp-theme-light");
  const arrivals = new Map(); // id of a control -> what to do with a query meant for it

  function visit() {
    const [id, query] = location.hash.slice(1).split("?");
    if (query === undefined || !arrivals.has(id) || !ownsAddress()) return;
    arrivals.get(id)(query);
  }

  // Stay at the place that the address names while controls and fonts above it find their height, unless the reader moves.
  function land() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1).split("?")[0]));
    if (!target || !ownsAddress()) return;
    let isReading = false;
    for (const act of ["wheel", "touchstart", "keydown", "pointerdown"]) {
      window.addEventListener(act, () => { isReading = true; }, { once: true, passive: true });
    }
    const scroll = () => { if (!isReading) target.scrollIntoView({ block: "start", behavior: "instant" }); };
    const afterLayout = () => requestAnimationFrame(() => requestAnimationFrame(scroll));
    afterLayout();
    document.fonts.ready.then(afterLayout);
    if (document.readyState !== "complete") window.addEventListener("load", afterLayout, { once: true });
  }

  const remember = (id, query) => {
    if (ownsAddress()) history.replaceState(history.state, "", `#${id}?${query}`);
  };

  const showIgnored = (note, ignored) => {
    note.hidden = !ignored.length;
    setText(note, ignored.length ? `Ignored from the address: ${ignored.join(", ")}` : "");
  };

  // ---------------------------------------------------------------- the page: explore

  function selectControl(id, choice, onpick) {
    const select = make("select", { id, onchange: () => onpick(select.value) },
      ...choice.options.map(({ key, label: text }) => make("option", { value: key }, text)));
    return { element: make("div", { class: "control" }, make("label", { for: id }, choice.label), select), show: (key) => { select.value = key; } };
  }

  function radioControl(id, choice, onpick) {
    const inputs = choice.options.map(({ key }) => make("input", { type: "radio", name: id, value: key, onchange: () => onpick(key) }));
    const element = make("fieldset", { class: "control segmented" }, make("legend", {}, choice.label),
      make("div", { class: "segments" }, ...choice.options.map(({ label: text }, i) => make("label", {}, inputs[i], make("span", {}, text)))));
    return { element, show: (key) => inputs.forEach((input) => { input.checked = input.value === key; }) };
  }

  function sliderControl(id, slider, onpick) {
    const { element, show } = rangeControl({ id, text: slider.label, last: slider.values.length - 1, onpick: (index) => onpick(slider.values[index]) });
    // A pasted count may lie between two stops.
    const nearest = (value) => slider.values.reduce((best, stop, i) => (Math.abs(stop - value) < Math.abs(slider.values[best] - value) ? i : best), 0);
    return { element, show: (value, binary, picks) => {
      element.hidden = !counts(slider, picks);
      show(nearest(value), format(value, slider.unit, binary));
    } };
  }

  function usageSummary({ kind, input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens }) {
    const [input, cached, written, output, reasoning] = [input_tokens, cached_tokens, written_tokens, output_tokens, reasoning_tokens]
      .map((value) => grouped(String(value)));
    return `${kind}: ${input} input tokens, of them ${cached} cached and ${written} written; ${output} output tokens, of them ${reasoning} reasoning.`;
  }

  // A box for the usage record of an API answer. What cannot be read changes nothing.
  function pasteControl(spec, onread) {
    const id = `${spec.id}-paste`;
    const said = make("p", { class: "paste-said", id: `${id}-said`, role: "status" });
    const box = make("textarea", { id, rows: 7, spellcheck: "false", autocomplete: "off", "aria-describedby": said.id });
    const say = (text, isWrong = false) => {
      said.textContent = text;
      box.setAttribute("aria-invalid", isWrong);
      const figure = box.closest("figure");
      if (figure) figure.toggleAttribute("data-refused", isWrong); // what stands below is not of this record
    };
    function read() {
      try {
        const usage = readUsage(spec.paste, box.value);
        onread(Object.fromEntries(Object.keys(spec.paste.counts).map((name) => [name, usage[name]])));
        say(usageSummary(usage));
      } catch (error) {
        say(error.message, true);
      }
    }
    function reset() {
      box.value = spec.paste.example;
      say("");
    }
    reset();
    const element = make("div", { class: "control paste" }, make("label", { for: id }, spec.paste.label), box, button("Read it", read), said);
    return { element, say, reset };
  }

  function buildControls(spec, pick) {
    const build = (kind) => (one) => ({ name: one.name, ...kind(`${spec.id}-${one.name}`, one, (value) => pick(one.name, value)) });
    return [
      ...choicesOf(spec).map((choice) => build(choice.style === "radio" ? radioControl : selectControl)(choice)),
      ...slidersOf(spec).map(build(sliderControl)),
    ];
  }

  async function copyLink(spec, picks, say) {
    remember(spec.id, queryFromPicks(spec, picks));
    try {
      await navigator.clipboard.writeText(location.href);
      say("Link copied");
    } catch (error) {
      say("The address bar now holds the link"); // no clipboard without https
    }
  }

  function mountExplore(figure, spec) {
    const view = figure.querySelector(".explore-view");
    const code = figure.querySelector(".explore-python code");
    const near = figure.querySelector(".explore-nearest");
    const outputs = (spec.outputs || []).map((_, i) => figure.querySelector(`output[data-output="${i}"]`)).filter(Boolean);
    for (const output of outputs) output.setAttribute("aria-live", "off"); // the announcer speaks for them
    const note = make("p", { class: "explore-note", hidden: true });
    const announce = announcer(figure);
    let picks = settle(spec, {});
    let width = 0;
    let isTouched = false; // nothing is announced before the reader acts

    const controls = buildControls(spec, (name, value) => {
      if (name in pastedOf(spec)) paste.say("");
      choose({ ...picks, [name]: value });
    });
    const paste = spec.paste && pasteControl(spec, (read) => choose({ ...picks, ...read }));
    figure.querySelector(".explore-controls").replaceChildren(...(paste ? [paste.element] : []), ...controls.map(({ element }) => element), note);

    function paint() {
      try {
        const now = state(spec, picks);
        const { binary } = settings(spec, now);
        for (const { name, show } of controls) show(picks[name], binary, picks);
        const read = readouts(spec, now);
        outputs.forEach((output, i) => { setText(output, read[i].text); output.dataset.value = read[i].value; });
        setText(code, pythonLine(spec, now));
        if (near) setText(near, toldNear(spec, now));
        view.innerHTML = draw(spec, now, width || 640);
        if (isTouched && read.length) announce(`${spec.outputs[0].label}: ${read[0].text}`);
      } catch (error) {
        for (const output of outputs) setText(output, "–"); // never a number that belongs to another state
        setText(code, "");
        view.replaceChildren(make("p", { class: "explore-error" }, error.message));
      }
    }
    const repaint = oncePerFrame(paint);
    const store = debounced(() => remember(spec.id, queryFromPicks(spec, picks)), 300);

    function choose(next) {
      isTouched = true;
      picks = settle(spec, next);
      showIgnored(note, []);
      repaint();
      store();
    }

    function reset() {
      if (paste) paste.reset();
      choose({});
    }

    if (controls.length || paste) {
      const copied = make("span", { class: "explore-copied", role: "status" });
      const say = (text) => { copied.textContent = text; setTimeout(() => { copied.textContent = ""; }, 3000); };
      const actions = make("div", { class: "explore-actions" }, button("Reset", reset),
        ...(ownsAddress() ? [button("Copy link", () => copyLink(spec, picks, say))] : []), copied);
      figure.insertBefore(actions, figure.querySelector("figcaption"));
    }
    // The first call comes when the control is laid out: one far below costs nothing before the reader is near.
    new ResizeObserver(([{ contentRect }]) => {
      const now = Math.round(contentRect.width);
      if (!now || now === width) return;
      const isFirst = !width;
      width = now;
      if (isFirst) paint(); else repaint();
    }).observe(figure.querySelector(".explore-controls"));
    arrivals.set(spec.id, (query) => {
      const { picks: found, ignored } = picksFromQuery(spec, query);
      picks = settle(spec, found);
      if (paste) paste.reset();
      if (Object.entries(pastedOf(spec)).some(([name, count]) => picks[name] !== count)) paste.say("The counts come from the address, not from this record.");
      showIgnored(note, ignored);
      paint();
    });
  }

  // ---------------------------------------------------------------- the page: steps

  function mountSteps(figure) {
    const frames = [...figure.querySelectorAll(".frame")];
    const last = frames.length - 1;
    const announce = announcer(figure);
    const note = make("p", { class: "explore-note", hidden: true });
    const store = debounced(() => remember(figure.id, `step=${step}`), 300);
    const title = (i) => `${i + 1} of ${frames.length}${frames[i].dataset.label ? `: ${frames[i].dataset.label}` : ""}`;
    let step = 0;
    let playing = 0;

    const range = rangeControl({ id: `${figure.id}-step`, text: "Step", last, onpick: (i) => { stop(); go(i); } });
    const back = button("Back", () => { stop(); go(step - 1); announce(`Step ${title(step)}`); });
    const next = button("Next", () => { stop(); go(step + 1); announce(`Step ${title(step)}`); });
    const play = button("Play", () => (playing ? stop() : start()));

    function show(i) {
      step = Math.max(0, Math.min(last, i));
      frames.forEach((frame, k) => frame.classList.toggle("current", k === step));
      range.show(step, title(step));
      // Not `disabled`: a button that loses its focus in mid-press leaves keyboard readers nowhere.
      back.setAttribute("aria-disabled", step === 0);
      next.setAttribute("aria-disabled", step === last);
    }
    function go(i) {
      show(i);
      showIgnored(note, []);
      store();
    }
    function start() {
      go(step === last ? 0 : step + 1);
      play.textContent = "Pause";
      playing = setInterval(() => (step === last ? stop() : go(step + 1)), 1400);
    }
    function stop() {
      clearInterval(playing);
      playing = 0;
      play.textContent = "Play";
    }

    figure.querySelector(".explore-controls").replaceChildren(range.element, make("div", { class: "explore-actions" }, back, next, play), note);
    figure.querySelector(".frames").classList.add("stacked");
    show(0);
    arrivals.set(figure.id, (query) => {
      const match = /^step=(\d+)$/.exec(query);
      const isStep = match && Number(match[1]) <= last;
      if (isStep) show(Number(match[1]));
      showIgnored(note, isStep ? [] : [query]);
    });
  }

  // ---------------------------------------------------------------- the page: questions

  function mountQuestion(form, question) {
    const out = form.querySelector(".question-verdict");
    const id = `${question.id}-answer`;
    const input = make("input", { type: "text", id, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint` });
    form.querySelector(".question-controls").replaceChildren(
      make("label", { for: id }, question.kind === "predict" ? "Your prediction" : "Your answer"), input,
      make("button", { type: "submit" }, question.kind === "predict" ? "Commit" : "Check"),
      make("span", { class: "question-hint", id: `${id}-hint` }, `for example ${examples(question.unit)}`));

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const answer = parse(input.value, question.unit);
      const isNumber = Number.isFinite(answer);
      input.setAttribute("aria-invalid", !isNumber);
      form.dataset.result = !isNumber ? "unreadable" : judge(answer, question).right ? "right" : "wrong";
      out.textContent = isNumber ? verdict(answer, question) : `That is not a number I can read: try ${examples(question.unit)}.`;
      if (isNumber && question.kind === "predict") form.querySelector(".question-answer").open = true;
    });
  }

  // ---------------------------------------------------------------- the page: mounting

  const KINDS = [["[data-explore]", mountExplore], ["[data-steps]", mountSteps], ["[data-question]", mountQuestion]];
  const mounted = new WeakSet();

  function mountOne(element, mount) {
    if (mounted.has(element)) return;
    mounted.add(element);
    try {
      const data = element.querySelector('script[type="application/json"]');
      mount(element, data ? JSON.parse(data.textContent) : {});
    } catch (error) {
      element.prepend(make("p", { class: "explore-error" }, `This control could not start: ${error.message}`));
    }
  }

  function mountAll(root) {
    for (const [selector, mount] of KINDS) {
      if (root.matches && root.matches(selector)) mountOne(root, mount);
      for (const element of root.querySelectorAll(selector)) mountOne(element, mount);
    }
  }

  const whenIdle = window.requestIdleCallback ? (work) => requestIdleCallback(work, { timeout: 2000 }) : (work) => setTimeout(work, 50);

  // Controls near the screen first, the others one at a time while the page has nothing else to do.
  function mountInTurn() {
    const waiting = new Map(KINDS.flatMap(([selector, mount]) => [...document.querySelectorAll(selector)].map((element) => [element, mount])));
    const start = (element) => { mountOne(element, waiting.get(element)); waiting.delete(element); };
    const sight = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting && waiting.has(target)) start(target);
    }, { rootMargin: "50%" });
    for (const element of waiting.keys()) sight.observe(element);
    whenIdle(function next() {
      if (waiting.size) { start(waiting.keys().next().value); whenIdle(next); return; }
      sight.disconnect();
      document.documentElement.dataset.controls = "ready";
    });
  }

  // A page is laid out piece by piece, until the reader jumps: then every height above the place counts.
  const layOutWhole = () => { delete document.documentElement.dataset.layout; mountAll(document); };

  function begin() {
    if (location.hash) mountAll(document);
    else document.documentElement.dataset.layout = "piecewise";
    mountInTurn();
    if (location.hash) { visit(); land(); }
    document.addEventListener("click", (event) => { if (event.target.closest && event.target.closest('a[href*="#"]')) layOutWhole(); }, true);
    window.addEventListener("hashchange", () => { layOutWhole(); visit(); land(); });
    // JupyterLab adds outputs at any time.
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) for (const node of addedNodes) if (node instanceof HTMLElement) mountAll(node);
    }).observe(document.body, { childList: true, subtree: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
