"use strict";

const { assert, collect, db, dial, events, eventually, expecting, Feed, place, reader, revisions, scenario, writer } = require("./session");
const { ANY, NO_STREAM, START } = db;

const { GATEWAY_DISCOVER, GATEWAY_FOLLOWER, GATEWAY_SECURE, GATEWAY_SEEDS } = process.env;

// protectedStream is a stream of the domain, which clients can only read.
const protectedStream = "order-interop";

async function withClient(address, run) {
  const client = dial(address);
  try {
    await run(client);
  } finally {
    await client.dispose();
  }
}

const secure = (credentials) => `esdb://${credentials}${GATEWAY_SECURE}`;
const as = ({ username, password }) => secure(`${username}:${password}@`);

async function wantWorking(client, name) {
  await client.appendToStream(name, events("a", 2), expecting(NO_STREAM));
  assert.deepEqual(revisions(await collect(client.readStream(name))), [0, 1]);
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: START }));
  await feed.wantPlaces(place(name, 0), place(name, 1));
}

// Connects with several addresses. It must succeed although nothing answers at one of them.
scenario("connect-seeds", ({ name }) => withClient(GATEWAY_SEEDS, (client) => wantWorking(client, name)));

// Asks a node for the cluster, without and with TLS. With TLS, the client sends no credentials with
// this question.
scenario("connect-discover", async ({ name }) => {
  await withClient(GATEWAY_DISCOVER, (client) => wantWorking(client, name));
  const withTLS = as(writer).replace("esdb:", "esdb+discover:");
  await withClient(withTLS, (client) => wantWorking(client, `${name}-again`));
});

scenario("credentials", ({ name }) => withClient(as(writer), (client) => wantWorking(client, name)));

scenario("credentials-of-a-call", ({ name }) =>
  withClient(secure(""), async (client) => {
    await client.appendToStream(name, events("a", 1), { ...expecting(NO_STREAM), credentials: writer });
    assert.deepEqual(revisions(await collect(client.readStream(name, { credentials: writer }))), [0]);
  }));

scenario("credentials-wrong", ({ name }) =>
  withClient(secure(`${writer.username}:wrong@`), (client) => wantRefused(client, name)));

scenario("credentials-none", ({ name }) => withClient(secure(""), (client) => wantRefused(client, name)));

// Uses a stream whose metadata lists who may use it.
scenario("access-by-list", async ({ name }) => {
  await withClient(as(writer), async (client) => {
    await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
    const own = [writer.username];
    await client.setStreamMetadata(name, { acl: { readRoles: own, writeRoles: own } });
    assert.deepEqual(revisions(await collect(client.readStream(name))), [0]);
  });
  await withClient(as(reader), async (client) => {
    await wantRefused(client, name);
    await wantWorking(client, `${name}-open`);
  });
});

// Reads a stream of the domain, but may not write to it.
scenario("access-denied", () =>
  withClient(as(writer), async (client) => {
    const read = async () => revisions(await collect(client.readStream(protectedStream)));
    assert.deepEqual(await read(), [0]);
    const append = (more) => client.appendToStream(protectedStream, events("a", 1), { ...expecting(ANY), ...more });
    await assert.rejects(append(), db.AccessDeniedError); // a batch
    await assert.rejects(append({ credentials: writer }), db.AccessDeniedError); // one by one
    await assert.rejects(client.deleteStream(protectedStream, { expectedRevision: ANY }), db.AccessDeniedError);
    assert.deepEqual(await read(), [0]);
    await assert.rejects(collect(client.readAll({ maxCount: 1 })), db.AccessDeniedError); // only administrators may read $all
  }));

// Asks a node for something that only the leader does. The client then goes to the leader. It does
// not wait for that before it returns the error, so the next calls may still reach the first node.
if (GATEWAY_FOLLOWER) {
  scenario("not-leader", ({ name }) =>
    withClient(GATEWAY_FOLLOWER, async (client) => {
      await wantWorking(client, name);
      const group = "readers";
      const settings = db.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START });
      const create = () => client.createPersistentSubscriptionToStream(name, group, settings);
      await assert.rejects(create, (error) => {
        assert.ok(error instanceof db.NotLeaderError, error);
        assert.match(process.env.GATEWAY, new RegExp(`//${error.leader.address}:${error.leader.port}\\?`));
        return true;
      });
      await eventually(() =>
        create().then(
          () => true,
          (error) => assert.ok(error instanceof db.NotLeaderError, error),
        ),
      );
      const feed = new Feed(() => client.subscribeToPersistentSubscriptionToStream(name, group));
      await feed.subscription.ack(...(await feed.next(2)));
    }));
}

async function wantRefused(client, name) {
  await assert.rejects(collect(client.readStream(name)), db.AccessDeniedError);
  const feed = new Feed(() => client.subscribeToStream(name, { fromRevision: START }));
  assert.ok((await feed.error()) instanceof db.AccessDeniedError);
  await assert.rejects(client.appendToStream(name, events("a", 1), expecting(ANY)), db.AccessDeniedError);
}
