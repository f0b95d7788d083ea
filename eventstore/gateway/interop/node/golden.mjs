// Runs the golden cases of a folder against a gateway and records the outcomes, for the folder's diff.mjs.
//
//     node golden.mjs FOLDER HOST:PORT ACCEPTED OUT REPORT [ONLY]
//
// Only the cases are run whose outcome at a real server is known. Some tell of timing, and a busy machine is slow: a
// case with another outcome than is expected of it (the accepted one, or else the golden one) is run anew, alone, up to
// four times. ONLY is a regular expression on the names of the cases.
//
// OUT gets the outcomes, and REPORT what they do not show:
// {cases, again: {case: [how each run came out]}, other: [case], reworded: {case: what differs}}.
// A run is "right", or said to be wrong from which step on. The cases in other came out in the other of their two ways.
// Those in reworded have the outcome that was accepted, with another text of an error than was looked at then.
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
const numbers = 2_000; // of cases, at most

// What looks at the whole log, or at time, runs alone: others would be in it.
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

// sorted and bare are how diff.mjs compares: whatever the order of members, and without the free text of errors.
const sorted = (v) =>
  Array.isArray(v) ? v.map(sorted)
  : v && typeof v === "object" ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])]))
  : v;
const bare = (outcome) =>
  JSON.stringify(sorted(outcome), (k, v) => ((k === "details" && typeof v === "string") || k === "message" ? undefined : v));
// worded is an outcome with the texts of its errors, but for the places of this log in them, and for the kind of their
// spaces: Go's protobuf library writes its own errors with one or the other, as the build has it.
const worded = (step) => JSON.stringify(sorted(step)).replace(/\bposition \d+/g, "position N").replaceAll("\u00a0", " ");
const expected = (name) => (accepted[name] ?? { outcome: golden[name] }).outcome;
const isExpected = ({ name }, outcome) => bare(outcome) === bare(expected(name));

// verdict says how a run of a case came out.
const verdict = ({ name }) => {
  if (isExpected({ name }, outcomes[name])) return "right";
  const [is, want] = [outcomes[name], expected(name)];
  const step = Math.max(0, is.findIndex((one, i) => bare(one) !== bare(want[i])));
  return `wrong from the step ${JSON.stringify((is[step] ?? want[is.length] ?? {}).step ?? "none")} on`;
};

// A client that takes an append back may have sent the end of its call before, as Node does or does not: then it is
// written, and else not. Both are right.
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
    console.log(`${wrong.length} cases are not run again, because so many are no matter of timing`);
    break;
  }
  for (const one of wrong) again[one.name] ??= [verdict(one)];
  // Under another number, so that it finds nothing of what it did before. Numbers have four digits.
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
