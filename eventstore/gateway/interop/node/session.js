// What the scenarios share: the client that is tested, and functions that wait for its callbacks
// and streams.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { setTimeout: delay } = require("node:timers/promises");
const { after, test } = require("node:test");

// scenarioMax is how long a scenario may take, in ms, and callMax is the deadline of each call. All
// scenarios together take a few seconds. The limits are much longer, so that a busy machine passes.
const scenarioMax = 60_000;
const callMax = 50_000;

// The two clients are one program under two names, with few differences.
const isKurrentDB = process.env.CLIENT === "kurrentdb";
const db = require(isKurrentDB ? "@kurrent/kurrentdb-client" : "@eventstore/db-client");
const Client = isKurrentDB ? db.KurrentDBClient : db.EventStoreDBClient;

// expecting is the option with which an append says what it expects of the stream.
const expecting = (state) => (isKurrentDB ? { streamState: state } : { expectedRevision: state });

// conflict is what was expected and what was found, as an error says it.
const conflict = (error) =>
  isKurrentDB
    ? { expected: error.expectedState, actual: error.actualState }
    : { expected: error.expectedVersion, actual: error.actualVersion };

// The users of the gateway with TLS. None of them is an administrator.
const writer = { username: "writer", password: "password-1" };
const reader = { username: "reader", password: "password-1" };

const dial = (address) =>
  Client.connectionString(`${isKurrentDB ? address.replace(/^esdb/, "kurrentdb") : address}&defaultDeadline=${callMax}`);

// All scenarios use this one client, except those about connecting, because the newer client takes
// half a second for its first call.
const client = dial(process.env.GATEWAY);
after(() => client.dispose());

// open are the subscriptions of the scenario that runs.
const open = [];

// scenario runs a function with the client and a unique name. From this name the function makes the
// names of its streams, types and groups.
function scenario(name, run) {
  test(name, { timeout: scenarioMax }, async () => {
    try {
      await run({ client, name: `${name}-${randomUUID().slice(0, 8)}` });
    } finally {
      await Promise.allSettled(open.splice(0).map((feed) => feed.close()));
    }
  });
}

// events makes events with ids of their own; their data tells them apart.
const events = (type, count) =>
  Array.from({ length: count }, (_, number) => db.jsonEvent({ id: randomUUID(), type, data: { number } }));

const link = (to) => db.binaryEvent({ id: randomUUID(), type: "$>", data: Buffer.from(to) });

// collect reads to the end.
async function collect(stream) {
  const all = [];
  for await (const event of stream) all.push(event);
  return all;
}

// original is what was read: the link, if there is one.
const original = ({ link, event }) => link ?? event;
const revisions = (all) => all.map((resolved) => Number(original(resolved).revision));
const place = (stream, revision) => `${revision}@${stream}`;
const places = (all) => all.map(({ event }) => place(event.streamId, event.revision));

// eventually asks until the answer is yes. It is for things that the client cannot wait for.
async function eventually(isSo) {
  while (!(await isSo())) await delay(20);
}

// Feed is a subscription whose items a scenario can wait for. Its events are in order, and its
// marks are in order. The client reports marks in another way than events, so it is not known
// whether a mark came before or after an event.
class Feed {
  #arrived = { event: [], caughtUp: [], checkpoint: [] };
  #waiting = { event: [], caughtUp: [], checkpoint: [] };
  #error;
  #ended;

  constructor(subscribe) {
    open.push(this);
    this.subscription = subscribe((_, position) => this.#put("checkpoint", position));
    this.subscription.on("data", (event) => this.#put("event", event));
    this.subscription.on("caughtUp", (info) => this.#put("caughtUp", info));
    this.#ended = new Promise((resolve) => this.subscription.on("error", resolve));
    this.#ended.then((error) => {
      this.#error = error;
      for (const waiting of Object.values(this.#waiting)) for (const { reject } of waiting) reject(error);
    });
  }

  #put(kind, value) {
    const next = this.#waiting[kind].shift();
    if (next) next.resolve(value);
    else this.#arrived[kind].push(value);
  }

  #take(kind) {
    if (this.#arrived[kind].length > 0) return this.#arrived[kind].shift();
    if (this.#error) throw this.#error;
    return new Promise((resolve, reject) => this.#waiting[kind].push({ resolve, reject }));
  }

  // next waits for this number of events and returns them in order.
  async next(count = 1) {
    const all = [];
    while (all.length < count) all.push(await this.#take("event"));
    return all;
  }

  async wantPlaces(...want) {
    assert.deepEqual(places(await this.next(want.length)), want);
  }

  caughtUp = async () => this.#take("caughtUp");
  checkpoint = async () => this.#take("checkpoint");
  error = () => this.#ended;
  close = () => this.subscription.unsubscribe();
}

module.exports = {
  assert, collect, conflict, db, dial, events, eventually, expecting, Feed, isKurrentDB, link, original, place, places,
  randomUUID, reader, revisions, scenario, writer,
};
