-- +goose Up

-- Appends to several streams can be a group: all of them are recorded, or none. The tables do not
-- change. An older program that still runs on this database calls append without groups.

-- append records a batch of appends. It decides on each one separately, but it records all appends
-- of a group or none. It must run as a transaction of its own at READ COMMITTED, because then each
-- statement sees what was committed while it waited for its locks.
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
--   5 left out: it could be appended, but another append of its group could not
-- +goose StatementBegin
CREATE FUNCTION eventstore.append(
    p_stream    text[],    -- one per append: sorted by bytes, none twice
    p_expected  bigint[],  -- revision, -1 no stream, -2 any, -4 stream exists
    p_count     integer[], -- number of events
    p_first     integer[], -- number of its first event, from 1
    p_append    integer[], -- one per event, in the order of the log: number of its append, from 1
    p_id        uuid[],
    p_type      text[],
    p_data      json[],
    p_meta      json[],
    p_check_ids boolean,   -- look up all event ids first. If false, a recorded id in an append
                           -- whose stream is as expected fails the whole batch (23505)
    p_group     integer[], -- one per append: number of its group, or 0; null if there are no groups
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
    v_left      integer[]; -- appends that are left out only because another one of their group is refused
    v_n         integer;
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
                   WHEN i.use_in_batch > 1 OR EXISTS (SELECT FROM eventstore.events e WHERE e.event_id = i.id) THEN here.key
                   ELSE i.id END ORDER BY i.n) INTO v_key
        FROM (
            SELECT u.append, u.id, u.n, row_number() OVER (PARTITION BY u.append, u.id ORDER BY u.n) AS use,
                   row_number() OVER (PARTITION BY u.id ORDER BY u.n) AS use_in_batch -- above 1: another append of its group has the id too
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
        IF p_group IS NOT NULL THEN
            SELECT array_agg(a.n) INTO v_left
            FROM unnest(p_group, o_status) WITH ORDINALITY AS a(part_of, status, n)
            WHERE a.status = 0 AND a.part_of IN (SELECT b.part_of FROM unnest(p_group, o_status) AS b(part_of, status) WHERE b.part_of > 0 AND b.status <> 0);
            IF v_left IS NOT NULL THEN
                -- This batch has locked the rows of these streams and moved their revisions on. It
                -- moves them back.
                UPDATE eventstore.streams s SET revision = s.revision - p_count[a.n]
                FROM unnest(v_left) AS a(n) WHERE s.stream = p_stream[a.n];
                FOREACH v_n IN ARRAY v_left LOOP
                    o_status[v_n] := 5;
                    v_stream_id[v_n] := NULL;
                END LOOP;
                -- The ids of these appends are looked up, too. They may make an append a replay, or
                -- be a reason to refuse it.
                SELECT * INTO o_status, o_revision, o_position, o_duplicate
                FROM eventstore.look_up(p_stream, p_expected, p_count, p_append, p_id, 5::smallint, o_status, o_revision, o_position, o_duplicate);
            END IF;
        END IF;
        SELECT array_agg(a.skipped ORDER BY a.n), coalesce(sum(a.count) FILTER (WHERE a.status = 0), 0) INTO v_skipped, v_total
        FROM (
            SELECT b.n, b.count, b.status, coalesce(sum(b.count) FILTER (WHERE b.status <> 0) OVER (ORDER BY b.first), 0) AS skipped
            FROM unnest(p_count, p_first, o_status) WITH ORDINALITY AS b(count, first, status, n)
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

-- Older programs call append in this form, which has no groups.
CREATE OR REPLACE FUNCTION eventstore.append(
    p_stream text[], p_expected bigint[], p_count integer[], p_first integer[],
    p_append integer[], p_id uuid[], p_type text[], p_data json[], p_meta json[], p_check_ids boolean,
    OUT o_base bigint, OUT o_recorded_at timestamptz, OUT o_revision bigint[], OUT o_status smallint[],
    OUT o_position bigint[], OUT o_duplicate uuid[]
)
LANGUAGE sql VOLATILE
SET search_path = pg_catalog
AS $$ SELECT * FROM eventstore.append(p_stream, p_expected, p_count, p_first, p_append, p_id, p_type, p_data, p_meta, p_check_ids, NULL::integer[]) $$;
