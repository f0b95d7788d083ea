// What the scenarios share: the client that is tested, and what makes its
// callbacks and streams things to wait for.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { setTimeout: delay } = require("node:timers/promises");
const { after, test } = require("node:test");

// scenarioMax is how long a scenario may take, in ms; all of them together take
// a few seconds. The runner names the one that takes longer.
const scenarioMax = 20_000;

// The two clients are one, under two names and with few differences.
const isKurrentDB = process.env.CLIENT === "kurrentdb";
const db = require(isKurrentDB ? "@kurrent/kurrentdb-client" : "@eventstore/db-client");
const Client = isKurrentDB ? db.KurrentDBClient : db.EventStoreDBClient;

// expecting is the option of an append that says what is expected of the stream.
const expecting = (state) => (isKurrentDB ? { streamState: state } : { expectedRevision: state });

// conflict is what an error says was expected and found.
const conflict = (error) =>
  isKurrentDB
    ? { expected: error.expectedState, actual: error.actualState }
    : { expected: error.expectedVersion, actual: error.actualVersion };

// The users of the gateway with TLS, none of them an administrator.
const writer = { username: "writer", password: "password-1" };
const reader = { username: "reader", password: "password-1" };

const dial = (address) => Client.connectionString(isKurrentDB ? address.replace(/^esdb/, "kurrentdb") : address);

// One client for all scenarios but those about connecting: the newer one takes
// half a second for its first call.
const client = dial(process.env.GATEWAY);
after(() => client.dispose());

// open are the subscriptions of the scenario that runs.
const open = [];

// scenario runs a function with the client and a name that no other has, from
// which it makes its streams, types and groups.
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

// eventually asks until the answer is yes, for what the client cannot wait for.
async function eventually(isSo) {
  while (!(await isSo())) await delay(20);
}

// Feed is a subscription to wait on. Its events keep their order, and so do its
// marks; the client tells the marks by other ways than the events, so of their
// order among each other nothing is known.
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

  // next is as many events as are asked for, in order.
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
