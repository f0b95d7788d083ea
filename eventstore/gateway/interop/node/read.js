"use strict";

const { assert, collect, db, events, expecting, isKurrentDB, link, place, places, revisions, scenario } = require("./session");
const { BACKWARDS, END, FORWARDS, NO_STREAM, START } = db;

// The newer client always reads forwards from START and backwards from END, even if the call names
// the other direction.
const readsFromTheWrongEnd = !isKurrentDB;

scenario("read-forwards", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 5), expecting(NO_STREAM));
  const read = async (options) => revisions(await collect(client.readStream(name, { direction: FORWARDS, ...options })));
  assert.deepEqual(await read({ fromRevision: START }), [0, 1, 2, 3, 4]);
  assert.deepEqual(await read({ fromRevision: START, maxCount: 2 }), [0, 1]);
  assert.deepEqual(await read({ fromRevision: 3n }), [3, 4]);
  assert.deepEqual(await read({ fromRevision: 1n, maxCount: 3 }), [1, 2, 3]);
  assert.deepEqual(await read({ fromRevision: 5n }), []); // beyond the end: nothing
  if (readsFromTheWrongEnd) assert.deepEqual(await read({ fromRevision: END }), []);
});

scenario("read-backwards", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 5), expecting(NO_STREAM));
  const read = async (options) => revisions(await collect(client.readStream(name, { direction: BACKWARDS, ...options })));
  assert.deepEqual(await read({ fromRevision: END }), [4, 3, 2, 1, 0]);
  assert.deepEqual(await read({ fromRevision: END, maxCount: 1 }), [4]);
  assert.deepEqual(await read({ fromRevision: 2n }), [2, 1, 0]);
  assert.deepEqual(await read({ fromRevision: 3n, maxCount: 2 }), [3, 2]);
  assert.deepEqual(await read({ fromRevision: 99n, maxCount: 2 }), [4, 3]); // beyond the end: from the last
  if (readsFromTheWrongEnd) assert.deepEqual(await read({ fromRevision: START }), [0]);
});

scenario("read-missing", async ({ client, name }) => {
  for (const options of [{ direction: FORWARDS, fromRevision: START }, { direction: BACKWARDS, fromRevision: END }]) {
    await assert.rejects(collect(client.readStream(name, options)), (error) => {
      assert.ok(error instanceof db.StreamNotFoundError, error);
      assert.equal(error.streamName, name);
      return true;
    });
  }
});

// Begins with the event at the position it is given.
scenario("read-all-forwards", async ({ client, name }) => {
  const [one, two] = [`${name}-1`, `${name}-2`];
  const first = await client.appendToStream(one, events("a", 1), expecting(NO_STREAM));
  await client.appendToStream(two, events("a", 2), expecting(NO_STREAM));
  await client.appendToStream(one, events("a", 1), expecting(0n));
  const read = (options) => collect(client.readAll({ direction: FORWARDS, ...options }));

  const want = [place(one, 0), place(two, 0), place(two, 1), place(one, 1)];
  assert.deepEqual(places(await read({ fromPosition: first.position, maxCount: 4 })), want);
  assert.deepEqual(places(await read({ fromPosition: first.position, maxCount: 2 })), want.slice(0, 2));
  const all = await read({ fromPosition: START });
  assert.deepEqual(places(all.slice(-4)), want);
  for (let i = 1; i < all.length; i++) assert.ok(all[i].event.position.commit > all[i - 1].event.position.commit);
  if (readsFromTheWrongEnd) assert.deepEqual(await read({ fromPosition: END }), []);
  if (isKurrentDB) {
    const filter = db.streamNameFilter({ prefixes: [two] });
    assert.deepEqual(places(await read({ fromPosition: START, filter })), [place(two, 0), place(two, 1)]);
  }
});

// Begins with the event before the position it is given.
scenario("read-all-backwards", async ({ client, name }) => {
  const [one, two] = [`${name}-1`, `${name}-2`];
  await client.appendToStream(one, events("a", 1), expecting(NO_STREAM));
  await client.appendToStream(two, events("a", 1), expecting(NO_STREAM));
  const last = await client.appendToStream(one, events("a", 1), expecting(0n));
  const read = async (options) => places(await collect(client.readAll({ direction: BACKWARDS, ...options })));

  const want = [place(one, 1), place(two, 0), place(one, 0)];
  assert.deepEqual(await read({ fromPosition: END, maxCount: 3 }), want);
  assert.deepEqual(await read({ fromPosition: last.position, maxCount: 2 }), want.slice(1));
  assert.deepEqual((await read({ fromPosition: END })).slice(0, 3), want);
  if (readsFromTheWrongEnd) assert.deepEqual(await read({ fromPosition: START }), []);
});

// Reads links to events of another stream. One of these events is gone.
scenario("read-links", async ({ client, name }) => {
  const sent = events("a", 2);
  const links = `${name}-links`;
  await client.appendToStream(name, sent, expecting(NO_STREAM));
  await client.appendToStream(links, [link(`1@${name}`), link(`0@${name}-missing`), link(`0@${name}`)], expecting(NO_STREAM));

  const got = await collect(client.readStream(links, { resolveLinkTos: true }));
  assert.deepEqual(revisions(got), [0, 1, 2]); // the revisions of the links
  assert.deepEqual(got.map(({ event }) => event?.id), [sent[1].id, undefined, sent[0].id]);
  assert.deepEqual(got.map(({ link }) => link.streamId), [links, links, links]);
  for (const plain of await collect(client.readStream(links))) {
    assert.equal(plain.link, undefined);
    assert.equal(plain.event.type, "$>");
  }
});
