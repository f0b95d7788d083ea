"use strict";

const { assert, collect, db, events, eventually, expecting, revisions, scenario } = require("./session");
const { ANY, BACKWARDS, END, NO_STREAM } = db;

scenario("delete-and-append-again", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 3), expecting(NO_STREAM));
  const deleted = await client.deleteStream(name, { expectedRevision: 2n });
  assert.ok(deleted.position.commit > 0n);
  await assert.rejects(collect(client.readStream(name)), db.StreamNotFoundError);

  const again = await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
  assert.equal(again.nextExpectedRevision, 3n);
  const next = await client.appendToStream(name, events("a", 1), expecting(3n));
  assert.equal(next.nextExpectedRevision, 4n);
  assert.deepEqual(revisions(await collect(client.readStream(name))), [3, 4]);
});

scenario("delete-wrong-revision", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  await assert.rejects(client.deleteStream(name, { expectedRevision: 0n }), db.WrongExpectedVersionError);
  await assert.rejects(client.tombstoneStream(name, { expectedRevision: 7n }), db.WrongExpectedVersionError);
  assert.deepEqual(revisions(await collect(client.readStream(name))), [0, 1]);
});

scenario("tombstone", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  const deleted = await client.tombstoneStream(name, { expectedRevision: 1n });
  assert.ok(deleted.position.commit > 0n);
  for (const attempt of [
    () => collect(client.readStream(name)),
    () => client.appendToStream(name, events("a", 1), expecting(ANY)),
    () => client.deleteStream(name, { expectedRevision: ANY }),
  ]) {
    await assert.rejects(attempt, (error) => {
      assert.ok(error instanceof db.StreamDeletedError, error);
      assert.equal(error.streamName, name);
      return true;
    });
  }
});

scenario("metadata", async ({ client, name }) => {
  assert.deepEqual((await client.getStreamMetadata(name)).metadata, undefined);
  await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
  const sent = {
    maxCount: 7,
    maxAge: 7_200,
    truncateBefore: 0,
    cacheControl: 60,
    acl: { readRoles: ["$all"], writeRoles: ["writer", "admin"] },
    owner: "the interop test",
  };
  await client.setStreamMetadata(name, sent, { expectedRevision: NO_STREAM });
  assert.deepEqual((await client.getStreamMetadata(name)).metadata, sent);
  await client.setStreamMetadata(name, { owner: "somebody else" }, { expectedRevision: 0n });
  assert.deepEqual((await client.getStreamMetadata(name)).metadata, { owner: "somebody else" });
});

scenario("metadata-max-count", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 5), expecting(NO_STREAM));
  await client.setStreamMetadata(name, { maxCount: 2 });
  assert.deepEqual(revisions(await collect(client.readStream(name))), [3, 4]);
  await client.appendToStream(name, events("a", 1), expecting(4n));
  assert.deepEqual(revisions(await collect(client.readStream(name, { direction: BACKWARDS, fromRevision: END }))), [5, 4]);
});

// Waits until the events are too old. Then the stream is empty, but still found.
scenario("metadata-max-age", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  await client.setStreamMetadata(name, { maxAge: 3_600 });
  assert.deepEqual(revisions(await collect(client.readStream(name))), [0, 1]);
  await client.setStreamMetadata(name, { maxAge: 1 });
  await eventually(async () => (await collect(client.readStream(name))).length === 0);
  const next = await client.appendToStream(name, events("a", 1), expecting(1n));
  assert.equal(next.nextExpectedRevision, 2n);
});

scenario("metadata-truncate-before", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 4), expecting(NO_STREAM));
  await client.setStreamMetadata(name, { truncateBefore: 3 });
  assert.deepEqual(revisions(await collect(client.readStream(name))), [3]);
});
