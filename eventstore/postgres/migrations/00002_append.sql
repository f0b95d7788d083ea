-- +goose Up

-- append records a batch of appends, each decided on its own. It must run as a
-- transaction of its own at READ COMMITTED: every statement then sees what was
-- committed before the locks it waited for were given.
--
-- Locks are taken in one order everywhere, streams sorted and then the head, so
-- batches cannot deadlock. Nothing runs between taking the head and commit but
-- the insert of the events.
--
-- o_status per append: 0 appended, 1 recorded before (a replay), 2 the stream
-- is not as expected, 3 an event id is recorded elsewhere. It is null if all
-- were appended.
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
    p_check_ids boolean,   -- look up all event ids first; without, a duplicate
                           -- among appends that fit fails the whole batch (23505)
    OUT o_base        bigint,      -- position before the first event appended
    OUT o_recorded_at timestamptz,
    OUT o_revision    bigint[],    -- of the stream, before; of the last event of a replay
    OUT o_status      smallint[],
    OUT o_position    bigint[],    -- of the last event of a replay
    OUT o_duplicate   uuid[]       -- the id recorded elsewhere
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog
-- The plans are known: look up each stream, each id by its index. Statistics of
-- a table that was empty when they were made must not turn them into scans.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_stream_id bigint[];
    v_skipped   integer[]; -- events before this append that are not appended
    v_total     integer;
    v_refused   boolean;
    v_known     record;
BEGIN
    INSERT INTO eventstore.streams (stream, revision)
    SELECT a.stream, -1
    FROM unnest(p_stream, p_expected) WITH ORDINALITY AS a(stream, expected, n)
    WHERE a.expected IN (-1, -2)
    ORDER BY a.n
    ON CONFLICT DO NOTHING;

    -- The locks are taken one by one in the order of p_stream.
    SELECT array_agg(l.stream_id ORDER BY a.n),
           array_agg(coalesce(l.revision, -1) ORDER BY a.n),
           array_agg((CASE
               WHEN a.expected = -2 OR a.expected = l.revision THEN 0
               WHEN a.expected = -4 AND l.revision >= 0 THEN 0
               ELSE 2 END)::smallint ORDER BY a.n),
           sum(a.count)
    INTO v_stream_id, o_revision, o_status, v_total
    FROM unnest(p_stream, p_expected, p_count) WITH ORDINALITY AS a(stream, expected, count, n)
    LEFT JOIN LATERAL (
        SELECT s.stream_id, s.revision FROM eventstore.streams s WHERE s.stream = a.stream FOR NO KEY UPDATE
    ) AS l ON true;

    v_refused := 2 = ANY (o_status);
    IF v_refused OR p_check_ids THEN
        o_position := array_fill(NULL::bigint, ARRAY[cardinality(p_stream)]);
        o_duplicate := array_fill(NULL::uuid, ARRAY[cardinality(p_stream)]);
        FOR v_known IN
            SELECT i.append, count(*) AS events, max(e.revision) AS revision, max(e.position) AS position,
                   min(e.revision) AS first, (array_agg(i.id ORDER BY i.n))[1] AS id,
                   bool_and(e.stream_id = v_stream_id[i.append]) AND min(e.revision - i.n) = max(e.revision - i.n) AS in_a_row
            FROM unnest(p_append, p_id) WITH ORDINALITY AS i(append, id, n)
            JOIN eventstore.events e ON e.event_id = i.id
            WHERE p_check_ids OR o_status[i.append] <> 0
            GROUP BY i.append
        LOOP
            v_refused := true;
            IF v_known.in_a_row AND v_known.events = p_count[v_known.append]
                AND (p_expected[v_known.append] < -1 OR v_known.first = p_expected[v_known.append] + 1) THEN
                o_status[v_known.append] := 1;
                o_revision[v_known.append] := v_known.revision;
                o_position[v_known.append] := v_known.position;
            ELSE
                o_status[v_known.append] := 3;
                o_duplicate[v_known.append] := v_known.id;
            END IF;
        END LOOP;
    END IF;
    IF v_refused THEN
        SELECT array_agg(a.skipped ORDER BY a.n), sum(a.count) FILTER (WHERE a.status = 0)
        INTO v_skipped, v_total
        FROM (
            SELECT b.n, b.count, b.status,
                   coalesce(sum(b.count) FILTER (WHERE b.status <> 0) OVER (ORDER BY b.n), 0) AS skipped
            FROM unnest(p_count, o_status) WITH ORDINALITY AS b(count, status, n)
        ) AS a;
        IF v_total IS NULL THEN
            RETURN; -- nothing to append: the head is left alone
        END IF;
    END IF;

    UPDATE eventstore.streams s
    SET revision = s.revision + a.count
    FROM unnest(p_stream, p_count, o_status) AS a(stream, count, status)
    WHERE s.stream = a.stream AND a.status = 0;

    UPDATE eventstore.head
    SET position = position + v_total, recorded_at = greatest(recorded_at, clock_timestamp())
    RETURNING position - v_total, recorded_at INTO o_base, o_recorded_at;

    INSERT INTO eventstore.events (position, stream_id, revision, recorded_at, event_id, stream, type, data, meta)
    SELECT o_base + e.n - coalesce(v_skipped[e.append], 0),
           v_stream_id[e.append],
           o_revision[e.append] + 1 + e.n - p_first[e.append],
           o_recorded_at, e.id, p_stream[e.append], e.type, e.data, e.meta
    FROM unnest(p_append, p_id, p_type, p_data, p_meta) WITH ORDINALITY AS e(append, id, type, data, meta, n)
    WHERE o_status[e.append] = 0;

    IF NOT v_refused THEN
        o_status := NULL;
    END IF;
END;
$$;
-- +goose StatementEnd
