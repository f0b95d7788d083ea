"use strict";

const { assert, db, events, expecting, Feed, isKurrentDB, link, place, scenario } = require("./session");
const { ANY, END, eventTypeFilter, NO_STREAM, START, streamNameFilter } = db;

scenario("subscribe-from-start", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: START }));
  await feed.wantPlaces(place(name, 0), place(name, 1));
  await feed.caughtUp();
  await client.appendToStream(name, events("a", 3), expecting(1n));
  await feed.wantPlaces(place(name, 2), place(name, 3), place(name, 4));
});

// Begins after the revision it is given.
scenario("subscribe-from-revision", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 3), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: 1n }));
  await feed.wantPlaces(place(name, 2));
  await feed.caughtUp();
});

scenario("subscribe-from-end", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: END }));
  await feed.caughtUp();
  await client.appendToStream(name, events("a", 1), expecting(1n));
  await feed.wantPlaces(place(name, 2));
});

scenario("subscribe-missing", async ({ client, name }) => {
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: START }));
  await feed.caughtUp();
  await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
  await feed.wantPlaces(place(name, 0));
});

scenario("subscribe-links", async ({ client, name }) => {
  const source = `${name}-source`;
  await client.appendToStream(source, events("a", 2), expecting(NO_STREAM));
  await client.appendToStream(name, link(`1@${source}`), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: START, resolveLinkTos: true }));
  await feed.wantPlaces(place(source, 1));
  await feed.caughtUp();
  await client.appendToStream(name, link(`0@${source}`), expecting(0n));
  await feed.wantPlaces(place(source, 0));
});

scenario("subscribe-deleted", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: END }));
  await feed.caughtUp();
  await client.tombstoneStream(name, { expectedRevision: ANY });
  const [end] = await feed.next();
  assert.equal((end.event ?? end.link).revision, 2n ** 63n - 1n);
  assert.ok((await feed.error()) instanceof db.StreamDeletedError);
});

scenario("subscribe-all", async ({ client, name }) => {
  const [one, two] = [`${name}-1`, `${name}-2`];
  const before = await client.appendToStream(one, events("a", 1), expecting(NO_STREAM));
  await client.appendToStream(two, events("a", 1), expecting(NO_STREAM));
  const feed = new Feed(() => client.subscribeToAll({ fromPosition: before.position }));
  await feed.wantPlaces(place(two, 0));
  await feed.caughtUp();
  await client.appendToStream(one, events("a", 2), expecting(0n));
  await feed.wantPlaces(place(one, 1), place(one, 2));

  const fromEnd = new Feed(() => client.subscribeToAll({ fromPosition: END }));
  await fromEnd.caughtUp();
  await client.appendToStream(two, events("a", 1), expecting(0n));
  await fromEnd.wantPlaces(place(two, 1));
  await feed.wantPlaces(place(two, 1));
});

for (const [kind, filter] of [
  ["type-prefix", (name, more) => eventTypeFilter({ prefixes: ["nothing", `${name}-wanted`], ...more })],
  ["type-regex", (name, more) => eventTypeFilter({ regex: `^${name}-(wanted|loved)$`, ...more })],
  ["stream-prefix", (name, more) => streamNameFilter({ prefixes: [`${name}-wanted`], ...more })],
  ["stream-regex", (name, more) => streamNameFilter({ regex: `${name}-w.nted$`, ...more })],
]) {
  // The wanted events are among many others, before and after the subscription has caught up. Then
  // the subscription begins again at the last checkpoint.
  scenario(`subscribe-all-${kind}`, async ({ client, name }) => {
    const [wanted, other] = [`${name}-wanted`, `${name}-other`];
    const subscribe = (fromPosition) =>
      new Feed((checkpointReached) =>
        client.subscribeToAll({
          fromPosition,
          filter: filter(name, { checkpointReached, checkpointInterval: 1, maxSearchWindow: 32 }),
        }),
      );
    const before = await client.appendToStream(other, events(other, 1), expecting(NO_STREAM));
    await client.appendToStream(wanted, events(wanted, 2), expecting(NO_STREAM));
    await client.appendToStream(other, events(other, 200), expecting(0n));
    await client.appendToStream(wanted, events(wanted, 1), expecting(1n));
    const feed = subscribe(before.position);
    await feed.wantPlaces(place(wanted, 0), place(wanted, 1), place(wanted, 2));
    const reached = await feed.checkpoint();
    await feed.caughtUp();

    await client.appendToStream(other, events(other, 100), expecting(200n));
    const live = await client.appendToStream(wanted, events(wanted, 1), expecting(2n));
    await feed.wantPlaces(place(wanted, 3));
    await client.appendToStream(other, events(other, 100), expecting(300n));
    let later = reached;
    while (later.commit < live.position.commit) {
      const next = await feed.checkpoint();
      assert.ok(next.commit > later.commit, `checkpoint ${next.commit} follows ${later.commit}`);
      later = next;
    }

    const resumed = subscribe(later);
    await resumed.caughtUp();
    await client.appendToStream(wanted, events(wanted, 1), expecting(3n));
    await resumed.wantPlaces(place(wanted, 4));
  });
}

// The older clients do not return the place and the time of *caught up*.
if (isKurrentDB) {
  scenario("caught-up-says-where", async ({ client, name }) => {
    const last = await client.appendToStream(name, events("a", 3), expecting(NO_STREAM));
    const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: 1n }));
    await feed.wantPlaces(place(name, 2));
    const mark = await feed.caughtUp();
    assert.equal(mark.revision, 2n);
    assert.ok(Math.abs(mark.date - new Date()) < 3_600_000, `caught up at ${mark.date}`);

    const all = new Feed(() => client.subscribeToAll({ fromPosition: END }));
    const markOfAll = await all.caughtUp();
    assert.ok(markOfAll.position.commit >= last.position.commit);
    assert.ok(Math.abs(markOfAll.date - new Date()) < 3_600_000, `caught up at ${markOfAll.date}`);
  });
}
