-- +goose Up

-- An event id that is not log-wide may be used again in its stream too, as in EventStoreDB.
-- event_id stays the one unique key of all events:
--
--   - If an event is the first one with its id in its stream, its event_id is the id, or key_in if
--     another stream has used the id before.
--   - If an earlier event of its stream has the same id, its event_id is key_again, and its
--     given_id is the id.
--
-- So the first event with an id in a stream is found by its key, as before. A later one is found by
-- its place in the stream.

-- key_again is the key of an event whose id its stream has used before. It is a UUID of the same
-- kind as key_in. key_in hashes a text that begins with an id, and key_again one that begins with a
-- revision and '@'. No id has an '@', so the two texts are never equal.
CREATE FUNCTION eventstore.key_again(p_stream text, p_id uuid, p_revision bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT (pg_catalog.substr(h, 1, 12) || '8' || pg_catalog.substr(h, 14, 3) || 'f' || pg_catalog.substr(h, 18, 15))::uuid
    FROM pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p_revision::text || '@' || p_id::text || p_stream, 'UTF8')), 'hex') AS h
);

-- look_up looks at the appends of a batch that have the status p_look_at, and finds those with
-- event ids that are recorded already: in the stream of the append or, if an id is log-wide,
-- anywhere. It changes the status of some of them:
--   1 A replay. look_up then returns the place of its last event. If the append expects a revision,
--     all its ids are recorded one after the other, exactly where the append would put them. If it
--     expects none, its stream has all its ids: one after the other if one of them is log-wide, and
--     otherwise in any order.
--   3 Refused, and no replay. Either a log-wide id is recorded; or no revision is expected, and the
--     stream has the first id; or the stream is not as expected (p_look_at is 2), and has some of
--     the ids.
-- All others keep their status, even if some of their ids are recorded.
DROP FUNCTION eventstore.look_up(text[], bigint[], integer[], integer[], uuid[], smallint, smallint[], bigint[]);

-- +goose StatementBegin
CREATE FUNCTION eventstore.look_up(
    p_stream text[], p_expected bigint[], p_count integer[], -- one per append
    p_append integer[], p_id uuid[],                         -- one per event
    p_look_at smallint,
    INOUT io_status smallint[], INOUT io_revision bigint[],  -- one per append, as are the next two
    INOUT io_position bigint[], INOUT io_duplicate uuid[]
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_found  record;
    v_stream bigint[]; -- the stream_id of each append's stream
BEGIN
    io_revision := coalesce(io_revision, array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]));
    io_position := coalesce(io_position, array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]));
    io_duplicate := coalesce(io_duplicate, array_fill(NULL::uuid, ARRAY[cardinality(p_stream)]));
    SELECT array_agg(CASE WHEN a.status = p_look_at THEN (SELECT s.stream_id FROM eventstore.streams s WHERE s.stream = a.stream) END ORDER BY a.n)
    INTO v_stream FROM unnest(p_stream, io_status) WITH ORDINALITY AS a(stream, status, n);
    FOR v_found IN
        SELECT e.append, bool_or(e.wide) AS has_wide,
               count(*) FILTER (WHERE e.here) AS here,
               count(*) FILTER (WHERE e.in_place) AS in_place,
               bool_and(e.here) AND min(e.revision - e.n) = max(e.revision - e.n) AS in_a_row,
               bool_or(e.here) FILTER (WHERE e.n = 1) AS begins_here,
               (array_agg(e.revision ORDER BY e.n DESC))[1] AS last,
               (array_agg(coalesce(e.place, e.position) ORDER BY e.n DESC))[1] AS position,
               (array_agg(e.id ORDER BY e.n) FILTER (WHERE e.wide AND e.position IS NOT NULL))[1] AS wide_id,
               (array_agg(e.id ORDER BY e.n) FILTER (WHERE e.here))[1] AS id
        FROM (
            SELECT i.append, i.id, i.n, w.wide, r.revision, r.position, p.position AS place,
                   r.stream = p_stream[i.append] AS here,
                   CASE WHEN w.wide THEN r.stream = p_stream[i.append] AND r.revision = p_expected[i.append] + i.n
                        ELSE p.position IS NOT NULL END AS in_place
            FROM (
                SELECT u.append, u.id, row_number() OVER (PARTITION BY u.append ORDER BY u.n) AS n
                FROM unnest(p_append, p_id) WITH ORDINALITY AS u(append, id, n)
                WHERE io_status[u.append] = p_look_at
            ) AS i
            CROSS JOIN LATERAL (SELECT eventstore.log_wide(i.id) AS wide) AS w
            -- the first event with the id
            LEFT JOIN LATERAL (
                SELECT f.revision, f.position, f.stream FROM eventstore.events f
                WHERE f.event_id = i.id AND (f.stream = p_stream[i.append] OR w.wide)
                UNION ALL
                SELECT f.revision, f.position, f.stream FROM eventstore.events f
                WHERE NOT w.wide AND f.event_id = eventstore.key_in(p_stream[i.append], i.id) AND f.stream = p_stream[i.append]
            ) AS r ON true
            -- The event at the place where the append would put this one, if it has the same
            -- id. It is looked for only if a revision is expected, the id is not log-wide, and
            -- the stream has the id. Otherwise the key is null, and nothing is found.
            LEFT JOIN LATERAL (
                SELECT f.position FROM eventstore.events f
                WHERE f.stream_id = CASE WHEN NOT w.wide AND r.position IS NOT NULL AND p_expected[i.append] >= -1 THEN v_stream[i.append] END
                    AND f.revision = p_expected[i.append] + i.n AND coalesce(f.given_id, f.event_id) = i.id
            ) AS p ON true
        ) AS e
        GROUP BY e.append
        HAVING count(e.position) > 0
    LOOP
        IF p_expected[v_found.append] >= -1 AND v_found.in_place = p_count[v_found.append] THEN
            io_status[v_found.append] := 1;
            io_revision[v_found.append] := p_expected[v_found.append] + p_count[v_found.append];
            io_position[v_found.append] := v_found.position;
        ELSIF p_expected[v_found.append] < -1 AND v_found.here = p_count[v_found.append]
            AND (v_found.in_a_row OR NOT v_found.has_wide) THEN
            io_status[v_found.append] := 1;
            io_revision[v_found.append] := v_found.last;
            io_position[v_found.append] := v_found.position;
        ELSIF v_found.wide_id IS NOT NULL THEN
            io_status[v_found.append] := 3;
            io_duplicate[v_found.append] := v_found.wide_id;
        ELSIF v_found.here > 0 AND (p_look_at = 2 OR p_expected[v_found.append] < -1 AND v_found.begins_here) THEN
            io_status[v_found.append] := 3;
            io_duplicate[v_found.append] := v_found.id;
        END IF;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- append records a batch of appends, and decides on each one separately. It must run as a
-- transaction of its own at READ COMMITTED, because then each statement sees what was committed
-- while it waited for its locks.
--
-- Locks are always taken in this order: new streams (sorted), known streams (sorted), then the row
-- of the head. So batches cannot deadlock. While the head is locked, this function only inserts the
-- events.
--
-- o_status says for each append what became of it, and is null if all were appended:
--   0 appended
--   1 a replay: it was recorded before
--   2 refused: the stream is not as expected
--   3 refused: an event id is recorded (see look_up)
--   4 refused: the stream has ended
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstore.append(
    p_stream    text[],    -- one per append: sorted by bytes, none twice
    p_expected  bigint[],  -- revision, -1 no stream, -2 any, -4 stream exists
    p_count     integer[], -- number of events
    p_first     integer[], -- number of its first event, from 1
    p_append    integer[], -- one per event: number of its append, from 1
    p_id        uuid[],
    p_type      text[],
    p_data      json[],
    p_meta      json[],
    p_check_ids boolean,   -- look up all event ids first. If false, a recorded id in an append
                           -- whose stream is as expected fails the whole batch (23505)
    OUT o_base        bigint,      -- position before the first event appended
    OUT o_recorded_at timestamptz,
    OUT o_revision    bigint[],    -- of the append's last event, or of the stream that is not as expected
    OUT o_status      smallint[],
    OUT o_position    bigint[],    -- of a replay's last event
    OUT o_duplicate   uuid[]       -- an id that is recorded, of an append with status 3
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog
-- Each look-up of a stream or of an id must use its index. Without these settings the planner could
-- choose scans, because its statistics may be from a time when a table was empty.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_total     bigint := cardinality(p_append); -- events appended
    v_new       record;   -- streams that this batch made
    v_stream_id bigint[]; -- null where nothing is appended
    v_skipped   bigint[]; -- events before this append that are not appended
    v_refused   boolean;  -- at least one append is refused
    v_key       uuid[];   -- the key of each event, or null where key_again makes it; no array at all if each key is the event's id
BEGIN
    o_status := array_fill(0::smallint, ARRAY[cardinality(p_stream)]);
    IF p_check_ids THEN
        INSERT INTO eventstore.streams (stream, revision)
        SELECT a.stream, -1 FROM unnest(p_stream, p_expected) WITH ORDINALITY AS a(stream, expected, n)
        WHERE a.expected IN (-1, -2) ORDER BY a.n
        ON CONFLICT DO NOTHING;
        PERFORM FROM eventstore.streams s WHERE s.stream = ANY (p_stream) ORDER BY s.stream FOR NO KEY UPDATE;
        -- A stream that has ended refuses every append, even a repetition of what it holds.
        SELECT array_agg((CASE WHEN s.ended THEN 4 ELSE 0 END)::smallint ORDER BY a.n) INTO o_status
        FROM unnest(p_stream) WITH ORDINALITY AS a(stream, n) LEFT JOIN eventstore.streams s USING (stream);
        SELECT * INTO o_status, o_revision, o_position, o_duplicate
        FROM eventstore.look_up(p_stream, p_expected, p_count, p_append, p_id, 0::smallint, o_status, o_revision, NULL, NULL);
        SELECT array_agg(CASE
                   WHEN eventstore.log_wide(i.id) THEN i.id
                   WHEN i.use > 1 OR here.used THEN NULL
                   WHEN EXISTS (SELECT FROM eventstore.events e WHERE e.event_id = i.id) THEN here.key
                   ELSE i.id END ORDER BY i.n) INTO v_key
        FROM (
            SELECT u.append, u.id, u.n, row_number() OVER (PARTITION BY u.append, u.id ORDER BY u.n) AS use
            FROM unnest(p_append, p_id) WITH ORDINALITY AS u(append, id, n)
        ) AS i
        CROSS JOIN LATERAL (SELECT eventstore.key_in(p_stream[i.append], i.id) AS key) AS k
        CROSS JOIN LATERAL (SELECT k.key, EXISTS (
            SELECT FROM eventstore.events e WHERE e.event_id IN (i.id, k.key) AND e.stream = p_stream[i.append]) AS used) AS here;
        IF v_key = p_id THEN
            v_key := NULL;
        END IF;
    END IF;

    -- A new stream is inserted at the revision that it will have after this batch. Another writer
    -- of the same stream waits here until this batch is committed.
    WITH born AS (
        INSERT INTO eventstore.streams (stream, revision)
        SELECT a.stream, CASE a.expected WHEN -1 THEN a.count - 1 ELSE -1 END
        FROM unnest(p_stream, p_expected, p_count, o_status) WITH ORDINALITY AS a(stream, expected, count, status, n)
        WHERE a.expected IN (-1, -2) AND a.status = 0 ORDER BY a.n
        ON CONFLICT DO NOTHING
        RETURNING stream, stream_id, revision
    )
    SELECT array_agg(b.stream) AS streams, array_agg(b.stream_id) AS ids, array_agg(b.revision) AS revisions
    INTO v_new FROM born AS b WHERE b.revision >= 0;

    -- The other streams are locked, checked and moved on, one by one in the order of p_stream. If
    -- another batch has locked a stream, this statement waits for that batch, and then checks the
    -- stream as that batch has left it.
    WITH moved AS (
        UPDATE eventstore.streams s SET revision = s.revision + a.count
        FROM unnest(p_stream, p_expected, p_count, o_status) AS a(stream, expected, count, status)
        WHERE s.stream = a.stream AND a.status = 0 AND NOT s.ended AND cardinality(v_new.streams) IS DISTINCT FROM cardinality(p_stream)
            AND (s.revision = a.expected OR a.expected = -2 OR a.expected = -4 AND s.revision >= 0)
        RETURNING s.stream, s.stream_id, s.revision
    )
    SELECT array_agg(g.stream_id), array_agg(g.revision), bool_or(g.stream_id IS NULL)
    INTO v_stream_id, o_revision, v_refused
    FROM (
        SELECT max(f.stream_id) AS stream_id, max(f.revision) AS revision
        FROM (
            SELECT m.stream, m.stream_id, m.revision FROM moved AS m
            UNION ALL SELECT * FROM unnest(v_new.streams, v_new.ids, v_new.revisions)
            UNION ALL SELECT a.stream, NULL, a.revision FROM unnest(p_stream, o_revision) AS a(stream, revision)
        ) AS f
        GROUP BY f.stream ORDER BY f.stream COLLATE "C" -- the order of p_stream
    ) AS g;

    IF v_refused THEN
        SELECT array_agg(a.status), array_agg(a.revision) INTO o_status, o_revision
        FROM (
            SELECT (CASE WHEN NOT refused THEN b.status
                         WHEN (SELECT s.ended FROM eventstore.streams s WHERE s.stream = b.stream) THEN 4 ELSE 2 END)::smallint AS status,
                   CASE WHEN refused THEN coalesce((SELECT s.revision FROM eventstore.streams s WHERE s.stream = b.stream), -1)
                        ELSE b.revision END AS revision
            FROM unnest(p_stream, o_status, v_stream_id, o_revision) WITH ORDINALITY AS b(stream, status, stream_id, revision, n),
                 LATERAL (SELECT b.status = 0 AND b.stream_id IS NULL AS refused) AS r
            ORDER BY b.n
        ) AS a;
        SELECT * INTO o_status, o_revision, o_position, o_duplicate
        FROM eventstore.look_up(p_stream, p_expected, p_count, p_append, p_id, 2::smallint, o_status, o_revision, o_position, o_duplicate);
        SELECT array_agg(a.skipped), coalesce(sum(a.count) FILTER (WHERE a.status = 0), 0) INTO v_skipped, v_total
        FROM (
            SELECT b.count, b.status, coalesce(sum(b.count) FILTER (WHERE b.status <> 0) OVER (ORDER BY b.n), 0) AS skipped
            FROM unnest(p_count, o_status) WITH ORDINALITY AS b(count, status, n) ORDER BY b.n
        ) AS a;
        IF v_total = 0 THEN
            RETURN; -- nothing is appended, so the head does not move
        END IF;
    ELSE
        o_status := NULL;
    END IF;

    -- A tombstone ends its stream, whose row this batch has locked already. Tombstones are rare, so
    -- most batches need no UPDATE here.
    IF '$streamDeleted' = ANY (p_type) THEN
        UPDATE eventstore.streams s SET ended = true
        FROM unnest(p_stream, p_first, p_count, v_stream_id) AS a(stream, first, count, stream_id)
        WHERE s.stream = a.stream AND a.stream_id IS NOT NULL AND p_type[a.first + a.count - 1] = '$streamDeleted';
    END IF;

    UPDATE eventstore.head
    SET position = position + v_total, recorded_at = greatest(recorded_at, clock_timestamp())
    RETURNING position - v_total, recorded_at INTO o_base, o_recorded_at;

    IF v_key IS NULL THEN
        INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data, meta)
        SELECT o_base + e.n - coalesce(v_skipped[e.append], 0),
               v_stream_id[e.append],
               o_revision[e.append] - p_count[e.append] + 1 + e.n - p_first[e.append],
               o_recorded_at, e.id, p_stream[e.append], e.type, e.data, e.meta
        FROM unnest(p_append, p_id, p_type, p_data, p_meta) WITH ORDINALITY AS e(append, id, type, data, meta, n)
        WHERE v_stream_id[e.append] IS NOT NULL;
    ELSE
        INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, given_id, stream, type, data, meta)
        SELECT o_base + e.n - coalesce(v_skipped[e.append], 0),
               v_stream_id[e.append], r.revision, o_recorded_at, k.key, nullif(e.id, k.key), p_stream[e.append], e.type, e.data, e.meta
        FROM unnest(p_append, p_id, v_key, p_type, p_data, p_meta) WITH ORDINALITY AS e(append, id, key, type, data, meta, n)
        CROSS JOIN LATERAL (SELECT o_revision[e.append] - p_count[e.append] + 1 + e.n - p_first[e.append] AS revision) AS r
        CROSS JOIN LATERAL (SELECT coalesce(e.key, eventstore.key_again(p_stream[e.append], e.id, r.revision)) AS key) AS k
        WHERE v_stream_id[e.append] IS NOT NULL;
    END IF;
END;
$$;
-- +goose StatementEnd
