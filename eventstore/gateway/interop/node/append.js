"use strict";

const { assert, collect, conflict, db, events, expecting, Feed, place, randomUUID, revisions, scenario, writer } = require("./session");
const { ANY, NO_STREAM, START, STREAM_EXISTS } = db;

// The client appends in batches. If a call has credentials, the client appends one by one. Without
// TLS it then does so, too, although it does not send the credentials.
const ways = [{}, { credentials: writer }];

function wantWritten(result, revision) {
  assert.equal(result.success, true);
  assert.equal(result.nextExpectedRevision, BigInt(revision));
  assert.ok(result.position.commit > 0n && result.position.prepare > 0n);
}

const appending = (name, run) =>
  scenario(name, async ({ client, name }) => {
    for (const [i, way] of ways.entries()) {
      const append = (stream, state, added) => client.appendToStream(stream, added, { ...expecting(state), ...way });
      await run({ client, append, stream: `${name}-${i}` });
    }
  });

appending("append-any", async ({ append, stream }) => {
  wantWritten(await append(stream, ANY, events("a", 1)), 0);
  wantWritten(await append(stream, ANY, events("a", 2)), 2);
});

appending("append-no-stream", async ({ append, stream }) => {
  wantWritten(await append(stream, NO_STREAM, events("a", 2)), 1);
});

appending("append-stream-exists", async ({ append, stream }) => {
  await append(stream, NO_STREAM, events("a", 1));
  wantWritten(await append(stream, STREAM_EXISTS, events("a", 1)), 1);
});

appending("append-exact-revision", async ({ append, stream }) => {
  await append(stream, NO_STREAM, events("a", 1));
  wantWritten(await append(stream, 0n, events("a", 2)), 2);
  wantWritten(await append(stream, 2n, events("a", 1)), 3);
});

appending("append-wrong-revision", async ({ client, append, stream }) => {
  await append(stream, NO_STREAM, events("a", 1));
  const missing = `${stream}-missing`;
  for (const [name, expected, actual] of [
    [stream, NO_STREAM, 0n],
    [stream, 7n, 0n],
    [missing, 0n, NO_STREAM],
    [missing, STREAM_EXISTS, NO_STREAM],
  ]) {
    await assert.rejects(append(name, expected, events("a", 1)), (error) => {
      assert.ok(error instanceof db.WrongExpectedVersionError, error);
      assert.equal(error.streamName, name);
      assert.deepEqual(conflict(error), { expected, actual });
      return true;
    });
  }
  assert.deepEqual(revisions(await collect(client.readStream(stream))), [0]);
});

// Appends the same events again, as after a lost answer.
appending("append-repeated", async ({ client, append, stream }) => {
  const [first, second] = [events("a", 2), events("a", 2)];
  for (const [state, added, last] of [
    [NO_STREAM, first, 1],
    [1n, second, 3],
    [NO_STREAM, first, 1], // once more, after the stream has grown
    [ANY, second, 3],
  ]) {
    wantWritten(await append(stream, state, added), last);
    wantWritten(await append(stream, state, added), last);
  }
  assert.deepEqual(revisions(await collect(client.readStream(stream))), [0, 1, 2, 3]);
});

appending("append-json-and-binary", async ({ client, append, stream }) => {
  const sent = [
    db.jsonEvent({ type: "content", data: { b: 1, a: [2] }, metadata: { who: "me" } }),
    db.jsonEvent({ type: "content", data: { no: "metadata" } }),
    db.jsonEvent({ type: "content", data: [1, "two"], metadata: { not: "an object" } }),
    db.binaryEvent({ type: "content", data: Uint8Array.of(0, 1, 0xfe, 0xff), metadata: Uint8Array.of(0xff, 0) }),
    db.binaryEvent({ type: "content", data: Buffer.from('{"binary":"nevertheless"}') }),
  ];
  const written = await append(stream, NO_STREAM, sent);
  const got = (await collect(client.readStream(stream))).map(({ event }) => event);
  assert.equal(got.length, sent.length);
  for (const [i, event] of got.entries()) {
    assert.equal(event.id, sent[i].id);
    assert.equal(event.type, "content");
    assert.equal(event.streamId, stream);
    assert.equal(event.isJson, sent[i].contentType === "application/json");
    assert.ok(event.created.getFullYear() >= 2020, `created ${event.created}`);
    assert.deepEqual(plain(event.data), plain(sent[i].data));
    assert.deepEqual(plain(event.metadata), plain(sent[i].metadata));
  }
  assert.deepEqual(got.at(-1).position, written.position);
});

// plain gives bytes one form, so that they can be compared. The two clients return them in
// different classes.
const plain = (content) => (content instanceof Uint8Array ? [...content] : content);

appending("append-many", async ({ client, append, stream }) => {
  const sent = events("many", 2_000).map((event) => ({ ...event, metadata: { filler: "x".repeat(300) } }));
  wantWritten(await append(stream, NO_STREAM, sent), 1_999);
  const got = await collect(client.readStream(stream));
  assert.deepEqual(got.map(({ event }) => event.id), sent.map(({ id }) => id));
  assert.deepEqual(revisions(got), sent.map((_, i) => i));
});

// Many appends to one stream are under way at the same time.
appending("append-at-once", async ({ client, append, stream }) => {
  const count = 50;
  const results = await Promise.all(Array.from({ length: count }, () => append(stream, ANY, events("a", 1))));
  assert.equal(new Set(results.map(({ nextExpectedRevision }) => nextExpectedRevision)).size, count);
  assert.equal((await collect(client.readStream(stream))).length, count);
});

appending("append-too-large", async ({ append, stream }) => {
  const large = (size) => db.binaryEvent({ id: randomUUID(), type: "large", data: Buffer.alloc(size) });
  for (const sent of [[large(2 << 20)], [large(600 << 10), large(600 << 10)]]) {
    await assert.rejects(append(stream, ANY, sent), (error) => {
      assert.ok(error instanceof db.MaxAppendSizeExceededError, error);
      assert.equal(error.maxAppendSize, 1 << 20);
      return true;
    });
  }
  wantWritten(await append(stream, NO_STREAM, events("small", 1)), 0);
});

// Appends too many events. The error is about events and not about bytes.
appending("append-too-many", async ({ append, stream }) => {
  await assert.rejects(append(stream, ANY, events("a", 10_001)), /too many events in one append/);
});

// Writes, reads and follows a stream and a type whose names have 512 bytes each.
appending("append-long-names", async ({ client, append, stream }) => {
  const name = stream.padEnd(512, "n");
  const type = "T".repeat(512);
  wantWritten(await append(name, NO_STREAM, events(type, 1)), 0);
  const [read] = await collect(client.readStream(name));
  assert.equal(read.event.type, type);
  await client.setStreamMetadata(name, { maxCount: 1 });
  await new Feed(() => client.subscribeToStream(name, { fromRevision: START })).wantPlaces(place(name, 0));
});
