// Runs the golden cases of a folder against a gateway, and writes their outcomes in the form that
// the folder's diff.mjs reads.
//
//     node golden.mjs FOLDER HOST:PORT ACCEPTED OUT REPORT [ONLY]
//
// It runs only the cases in golden.json, because only their outcomes at a real server are known.
// The expected outcome of a case is the one in ACCEPTED, or else the one in golden.json. Some cases
// depend on timing, and a busy machine can be too slow for them. So a case with another outcome is
// run again, alone, up to four times in all. ONLY is a regular expression for the names of cases.
//
// OUT gets the outcomes. REPORT gets what the outcomes do not show:
// - cases: how many cases were run.
// - again: for each case that was run more than once, the verdict on each run, such as "right" or
//   "wrong from the step ... on".
// - other: the cases for which two outcomes are right, and which had the second one.
// - reworded: the cases with the accepted outcome but another text of an error, and the difference.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [folder, address, acceptedFile, out, reportFile, only = ""] = process.argv.slice(2);
const from = (file) => path.resolve(folder, file);
const { load, Server, Case } = await import(pathToFileURL(from("lib.mjs")));
const { cases } = await import(pathToFileURL(from("cases.mjs")));
const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
const golden = read(from("golden.json"));
const accepted = fs.existsSync(acceptedFile) ? read(acceptedFile) : {};

const atOnce = 4;
const attempts = 4;
const caseMax = 25_000; // ms
const numbers = 2_000; // how many cases there may be

// Cases that look at the whole log, or that measure time, run alone, because other cases would
// disturb them.
const alone = /^(all|subscribe all|checkpoints|concurrency|transport|service|shared name|group)\b/;

const server = new Server(address, load(path.dirname(fileURLToPath(import.meta.url))));

async function run({ name, number }) {
  const t = new Case(server, name, number);
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("the case did not end")), caseMax); });
  try {
    await Promise.race([cases[name](t), late]);
  } catch (error) {
    t.outcome.push({ step: "the test itself", error: t.string(String(error.message ?? error)) });
  }
  clearTimeout(timer);
  t.finish();
  return t.outcome;
}

// sorted and bare prepare outcomes for a comparison like that of diff.mjs: the order of members and
// the free texts of errors do not matter.
const sorted = (v) =>
  Array.isArray(v) ? v.map(sorted)
  : v && typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])]))
  : v;
const bare = (outcome) =>
  JSON.stringify(sorted(outcome), (k, v) => ((k === "details" && typeof v === "string") || k === "message" ? undefined : v));
// worded prepares a step for a comparison that includes the texts of errors. It removes what
// differs between runs: the positions of this log, and the kind of spaces. Go's protobuf library
// writes its errors with normal spaces in some builds, and with non-breaking spaces in others.
const worded = (step) => JSON.stringify(sorted(step)).replace(/\bposition \d+/g, "position N").replaceAll("\u00a0", " ");
const expected = (name) => (accepted[name] ?? { outcome: golden[name] }).outcome;
const isExpected = ({ name }, outcome) => bare(outcome) === bare(expected(name));

// verdict says whether the latest run of a case had the expected outcome.
const verdict = ({ name }) => {
  if (isExpected({ name }, outcomes[name])) return "right";
  const [is, want] = [outcomes[name], expected(name)];
  const step = Math.max(0, is.findIndex((one, i) => bare(one) !== bare(want[i])));
  return `wrong from the step ${JSON.stringify((is[step] ?? want[is.length] ?? {}).step ?? "none")} on`;
};

// In these cases a client cancels an append. Node may or may not have sent the end of the call
// before that. If it has, the events are written; if not, they are not. Both outcomes are right.
const either = ["append form/cancelled", "append form/never closed"];
const isOther = (name) => either.includes(name) && accepted[name] && bare(outcomes[name]) === bare(golden[name]);
const settle = (name) => {
  if (isOther(name)) outcomes[name] = accepted[name].outcome;
};

if (Object.keys(cases).length > numbers) throw new Error(`more than ${numbers} cases`);

const outcomes = {};
const chosen = Object.keys(cases)
  .map((name, i) => ({ name, number: i + 1 }))
  .filter(({ name }) => name in golden && new RegExp(only).test(name));

async function work(queue) {
  for (let next = queue.shift(); next; next = queue.shift()) outcomes[next.name] = await run(next);
}

const together = chosen.filter(({ name }) => !alone.test(name));
await Promise.all(Array.from({ length: atOnce }, () => work(together)));
await work(chosen.filter(({ name }) => alone.test(name)));
const again = {};
for (let attempt = 2; attempt <= attempts; attempt++) {
  const wrong = chosen.filter((one) => !isExpected(one, outcomes[one.name]) && !isOther(one.name));
  if (wrong.length > 100) {
    console.log(`${wrong.length} cases are not run again: so many do not fail because of timing alone`);
    break;
  }
  for (const one of wrong) again[one.name] ??= [verdict(one)];
  // Each run has another number, so that it finds no streams of an earlier run. Numbers have four
  // digits.
  await work(wrong.map(({ name, number }) => ({ name, number: number + (attempt - 1) * numbers })));
  for (const one of wrong) again[one.name].push(isOther(one.name) ? "right, in the other of its two ways" : verdict(one));
}
const other = chosen.filter(({ name }) => isOther(name)).map(({ name }) => name);

chosen.forEach(({ name }) => settle(name));
const reworded = {};
for (const { name } of chosen.filter((one) => one.name in accepted && isExpected(one, outcomes[one.name]))) {
  const want = accepted[name].outcome;
  const step = outcomes[name].findIndex((one, i) => worded(one) !== worded(want[i]));
  if (step >= 0) reworded[name] = `${worded(outcomes[name][step])}, accepted was ${worded(want[step])}`;
}
const lines = chosen.map(({ name }) => `${JSON.stringify(name)}: ${JSON.stringify(outcomes[name])}`);
fs.writeFileSync(out, `{\n${lines.join(",\n")}\n}\n`);
fs.writeFileSync(reportFile, JSON.stringify({ cases: chosen.length, again, other, reworded }));
process.exit(0);
