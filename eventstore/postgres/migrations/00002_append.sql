-- +goose Up

-- look_up looks at the appends of a batch that have the status p_look_at, and finds those with
-- event ids that are recorded already. If all ids of such an append are recorded one after the
-- other, exactly where the append would put them, the append is a replay: its status becomes 1, and
-- look_up returns the place of its last event. Otherwise its status becomes 3.
-- +goose StatementBegin
CREATE FUNCTION eventstore.look_up(
    p_stream text[], p_expected bigint[], p_count integer[], -- one per append
    p_append integer[], p_id uuid[],                         -- one per event
    p_look_at smallint,
    INOUT io_status smallint[], INOUT io_revision bigint[],  -- one per append
    OUT o_position bigint[], OUT o_duplicate uuid[]
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_found record;
BEGIN
    io_revision := coalesce(io_revision, array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]));
    o_position := array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]);
    o_duplicate := array_fill(NULL::uuid, ARRAY[cardinality(p_stream)]);
    FOR v_found IN
        SELECT i.append, count(*) AS events, min(e.revision) AS first, max(e.revision) AS last,
               max(e.position) AS position, (array_agg(i.id ORDER BY i.n))[1] AS id,
               bool_and(e.stream = p_stream[i.append]) AND min(e.revision - i.n) = max(e.revision - i.n) AS in_a_row
        FROM unnest(p_append, p_id) WITH ORDINALITY AS i(append, id, n)
        JOIN eventstore.events e ON e.event_id = i.id
        WHERE io_status[i.append] = p_look_at
        GROUP BY i.append
    LOOP
        IF v_found.in_a_row AND v_found.events = p_count[v_found.append]
            AND (p_expected[v_found.append] < -1 OR v_found.first = p_expected[v_found.append] + 1) THEN
            io_status[v_found.append] := 1;
            io_revision[v_found.append] := v_found.last;
            o_position[v_found.append] := v_found.position;
        ELSE
            io_status[v_found.append] := 3;
            o_duplicate[v_found.append] := v_found.id;
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
--   3 refused: an event id is recorded elsewhere
-- +goose StatementBegin
CREATE FUNCTION eventstore.append(
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
    OUT o_duplicate   uuid[]       -- the id recorded elsewhere
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
BEGIN
    o_status := array_fill(0::smallint, ARRAY[cardinality(p_stream)]);
    IF p_check_ids THEN
        INSERT INTO eventstore.streams (stream, revision)
        SELECT a.stream, -1 FROM unnest(p_stream, p_expected) WITH ORDINALITY AS a(stream, expected, n)
        WHERE a.expected IN (-1, -2) ORDER BY a.n
        ON CONFLICT DO NOTHING;
        PERFORM FROM eventstore.streams s WHERE s.stream = ANY (p_stream) ORDER BY s.stream FOR NO KEY UPDATE;
        SELECT * INTO o_status, o_revision, o_position, o_duplicate
        FROM eventstore.look_up(p_stream, p_expected, p_count, p_append, p_id, 0::smallint, o_status, o_revision);
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
        WHERE s.stream = a.stream AND a.status = 0 AND cardinality(v_new.streams) IS DISTINCT FROM cardinality(p_stream)
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
            SELECT (CASE WHEN refused THEN 2 ELSE b.status END)::smallint AS status,
                   CASE WHEN refused THEN coalesce((SELECT s.revision FROM eventstore.streams s WHERE s.stream = b.stream), -1)
                        ELSE b.revision END AS revision
            FROM unnest(p_stream, o_status, v_stream_id, o_revision) WITH ORDINALITY AS b(stream, status, stream_id, revision, n),
                 LATERAL (SELECT b.status = 0 AND b.stream_id IS NULL AS refused) AS r
            ORDER BY b.n
        ) AS a;
        IF NOT p_check_ids THEN
            SELECT * INTO o_status, o_revision, o_position, o_duplicate
            FROM eventstore.look_up(p_stream, p_expected, p_count, p_append, p_id, 2::smallint, o_status, o_revision);
        END IF;
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

    UPDATE eventstore.head
    SET position = position + v_total, recorded_at = greatest(recorded_at, clock_timestamp())
    RETURNING position - v_total, recorded_at INTO o_base, o_recorded_at;

    INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data, meta)
    SELECT o_base + e.n - coalesce(v_skipped[e.append], 0),
           v_stream_id[e.append],
           o_revision[e.append] - p_count[e.append] + 1 + e.n - p_first[e.append],
           o_recorded_at, e.id, p_stream[e.append], e.type, e.data, e.meta
    FROM unnest(p_append, p_id, p_type, p_data, p_meta) WITH ORDINALITY AS e(append, id, type, data, meta, n)
    WHERE v_stream_id[e.append] IS NOT NULL;
END;
$$;
-- +goose StatementEnd
