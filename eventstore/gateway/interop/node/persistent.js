"use strict";

const { assert, db, events, eventually, expecting, Feed, link, place, places, revisions, scenario } = require("./session");
const { eventTypeFilter, NO_STREAM, PARK, RETRY, SKIP, START } = db;

// group is the name of the groups on streams; those on $all need different names.
const group = "readers";

const fromStart = (changes) => db.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, ...changes });

// Member is a consumer of a group on a stream, with methods that ask for the state of the group.
class Member extends Feed {
  // wantDelivered fails unless these revisions come next, in this order. If retries is undefined,
  // the number of retries does not matter.
  async wantDelivered(retries, ...want) {
    const got = await this.next(want.length);
    assert.deepEqual(revisions(got), want);
    if (retries !== undefined) assert.deepEqual(got.map(({ retryCount }) => retryCount), want.map(() => retries));
    return got;
  }

  ack = (...handled) => this.subscription.ack(...handled);
  nack = (action, ...refused) => this.subscription.nack(action, "by the interop test", ...refused);
}

const join = (client, stream) => new Member(() => client.subscribeToPersistentSubscriptionToStream(stream, group));

async function grouped({ client, name }, count, settings) {
  await client.appendToStream(name, events("a", count), expecting(NO_STREAM));
  await client.createPersistentSubscriptionToStream(name, group, fromStart(settings));
  return join(client, name);
}

const stats = async (client, stream) => (await client.getPersistentSubscriptionToStreamInfo(stream, group)).stats;
const wantParked = (client, stream, want) => eventually(async () => (await stats(client, stream)).parkedMessageCount === BigInt(want));
// wantInFlight waits until the server has received the acknowledgements.
const wantInFlight = (client, stream, want) => eventually(async () => (await stats(client, stream)).totalInFlightMessages === want);
const wantConsumers = (client, stream, want) =>
  eventually(async () => (await client.getPersistentSubscriptionToStreamInfo(stream, group)).connections.length === want);

scenario("persistent-ack", async (s) => {
  const { client, name } = s;
  const member = await grouped(s, 2);
  await member.ack(...(await member.wantDelivered(0, 0)));
  await member.ack(...(await member.wantDelivered(0, 1)));
  await client.appendToStream(name, events("a", 3), expecting(1n));
  await member.ack(...(await member.wantDelivered(0, 2, 3, 4))); // several at once
  await wantInFlight(client, name, 0);
  await member.close();
  await wantConsumers(client, name, 0);

  await client.appendToStream(name, events("a", 1), expecting(4n));
  const again = join(client, name);
  await again.ack(...(await again.wantDelivered(0, 5)));
});

scenario("persistent-retry-and-skip", async (s) => {
  const { client, name } = s;
  const member = await grouped(s, 2);
  const [first, second] = await member.wantDelivered(0, 0, 1);
  await member.nack(SKIP, first);
  await member.nack(RETRY, second);
  await member.nack(RETRY, ...(await member.wantDelivered(1, 1)));
  await member.ack(...(await member.wantDelivered(2, 1)));
  await client.appendToStream(name, events("a", 1), expecting(1n));
  await member.ack(...(await member.wantDelivered(0, 2))); // revision 0 does not come, because it was skipped
});

scenario("persistent-park-and-replay", async (s) => {
  const { client, name } = s;
  const member = await grouped(s, 3);
  const [first, second, third] = await member.wantDelivered(0, 0, 1, 2);
  await member.ack(second);
  await member.nack(PARK, first, third);
  await wantParked(client, name, 2);
  await client.replayParkedMessagesToStream(name, group);
  await member.ack(...(await member.wantDelivered(undefined, 0, 2)));
  await wantParked(client, name, 0);
  await wantInFlight(client, name, 0);
  await client.appendToStream(name, events("a", 1), expecting(2n));
  await member.ack(...(await member.wantDelivered(0, 3)));
});

// Two consumers share the events. Then one of them ends.
scenario("persistent-consumers", async (s) => {
  const { client, name } = s;
  const one = await grouped(s, 1, { consumerStrategyName: db.ROUND_ROBIN });
  await one.ack(...(await one.wantDelivered(0, 0)));
  const other = join(client, name);
  await wantConsumers(client, name, 2);
  await client.appendToStream(name, events("a", 10), expecting(0n));
  const got = [];
  for (let i = 0; i < 5; i++) {
    for (const member of [one, other]) {
      const [event] = await member.next();
      await member.ack(event);
      got.push(...revisions([event]));
    }
  }
  assert.deepEqual(got.sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await wantInFlight(client, name, 0);

  await client.appendToStream(name, events("a", 2), expecting(10n));
  const [left] = await one.next();
  await one.close();
  const [first, second] = await other.next(2);
  assert.deepEqual(revisions([second]), revisions([left]));
  await other.ack(first, second);
});

// Acknowledges the link and not its target, because the link is the event in the stream.
scenario("persistent-links", async ({ client, name }) => {
  const source = `${name}-source`;
  await client.appendToStream(source, events("a", 2), expecting(NO_STREAM));
  await client.appendToStream(name, [link(`1@${source}`), link(`0@${source}`)], expecting(NO_STREAM));
  await client.createPersistentSubscriptionToStream(name, group, fromStart({ resolveLinkTos: true }));
  const member = join(client, name);
  const [first, second] = await member.wantDelivered(0, 0, 1);
  assert.deepEqual(places([first, second]), [place(source, 1), place(source, 0)]);
  await member.nack(RETRY, first);
  await member.ack(second);
  await member.ack(...(await member.wantDelivered(1, 0)));
  await wantInFlight(client, name, 0);
});

// A group on $all with a filter, whose events are acknowledged, parked and replayed.
scenario("persistent-all", async ({ client, name }) => {
  const wanted = `${name}-wanted`;
  const before = await client.appendToStream(name, events("other", 1), expecting(NO_STREAM));
  await client.appendToStream(name, events(wanted, 1), expecting(0n));
  await client.appendToStream(name, events("other", 50), expecting(1n));
  await client.appendToStream(name, events(wanted, 1), expecting(51n));
  const settings = db.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: before.position });
  await client.createPersistentSubscriptionToAll(name, settings, { filter: eventTypeFilter({ prefixes: [wanted] }) });
  const member = new Member(() => client.subscribeToPersistentSubscriptionToAll(name));
  const [first, second] = await member.wantDelivered(0, 1, 52);
  await member.ack(first);
  await member.nack(PARK, second);
  await client.appendToStream(name, events("other", 50), expecting(52n));
  await client.appendToStream(name, events(wanted, 1), expecting(102n));
  await member.ack(...(await member.wantDelivered(0, 103)));

  const parked = async () => (await client.getPersistentSubscriptionToAllInfo(name)).stats.parkedMessageCount;
  await eventually(async () => (await parked()) === 1n);
  await client.replayParkedMessagesToAll(name);
  await member.ack(...(await member.wantDelivered(undefined, 52)));
  await eventually(async () => (await parked()) === 0n);
  assert.ok((await client.listPersistentSubscriptionsToAll()).some(({ groupName }) => groupName === name));
  await client.deletePersistentSubscriptionToAll(name);
  await assert.rejects(client.getPersistentSubscriptionToAllInfo(name), db.PersistentSubscriptionDoesNotExistError);
});

scenario("persistent-manage", async (s) => {
  const { client, name } = s;
  const changes = { maxRetryCount: 3, messageTimeout: 7_000, readBatchSize: 11, consumerStrategyName: db.DISPATCH_TO_SINGLE };
  const member = await grouped(s, 3, changes);
  await member.wantDelivered(0, 0, 1, 2);
  const info = await client.getPersistentSubscriptionToStreamInfo(name, group);
  assert.deepEqual([info.eventSource, info.groupName, info.connections.length], [name, group, 1]);
  assert.equal(info.connections[0].connectionName, client.connectionName);
  assert.equal(info.stats.totalInFlightMessages, 3);
  assert.deepEqual(info.settings, fromStart(changes));

  const updated = { ...changes, maxRetryCount: 5, consumerStrategyName: db.ROUND_ROBIN };
  await client.updatePersistentSubscriptionToStream(name, group, fromStart(updated));
  assert.deepEqual((await client.getPersistentSubscriptionToStreamInfo(name, group)).settings, fromStart(updated));
  assert.ok((await member.error()) instanceof db.PersistentSubscriptionDroppedError);

  for (const groups of [await client.listPersistentSubscriptionsToStream(name), await client.listAllPersistentSubscriptions()]) {
    assert.ok(groups.some(({ eventSource, groupName }) => eventSource === name && groupName === group));
  }

  const again = join(client, name);
  await again.next();
  await client.deletePersistentSubscriptionToStream(name, group);
  assert.ok((await again.error()) instanceof db.PersistentSubscriptionDroppedError);
});

scenario("persistent-errors", async ({ client, name }) => {
  await client.appendToStream(name, events("a", 1), expecting(NO_STREAM));
  const missing = (error) => {
    assert.ok(error instanceof db.PersistentSubscriptionDoesNotExistError, error);
    assert.deepEqual([error.streamName, error.groupName], [name, group]);
    return true;
  };
  assert.ok(missing(await join(client, name).error()));
  await assert.rejects(client.getPersistentSubscriptionToStreamInfo(name, group), missing);
  await assert.rejects(client.listPersistentSubscriptionsToStream(name), db.PersistentSubscriptionDoesNotExistError);
  await assert.rejects(client.updatePersistentSubscriptionToStream(name, group, fromStart()), missing);
  await assert.rejects(client.deletePersistentSubscriptionToStream(name, group), missing);
  await assert.rejects(client.replayParkedMessagesToStream(name, group), missing);

  await client.createPersistentSubscriptionToStream(name, group, fromStart({ maxSubscriberCount: 1 }));
  await assert.rejects(
    client.createPersistentSubscriptionToStream(name, group, fromStart()),
    db.PersistentSubscriptionExistsError,
  );
  await join(client, name).next();
  assert.ok((await join(client, name).error()) instanceof db.PersistentSubscriptionMaximumSubscribersReachedError);
});
