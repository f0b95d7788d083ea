-- +goose Up

-- Each statement of a node names the latest event that the node knows: its position, its recorded
-- time and its id. The statement fails if the log does not hold this event. So if the log was
-- replaced by another one, no command is recorded in the new log, and nothing is read from it.

-- diverged fails a statement that has found the event missing.
-- +goose StatementBegin
CREATE FUNCTION eventstore.diverged() RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RAISE EXCEPTION 'the log does not hold the event by which it is known' USING ERRCODE = 'ZL001';
END;
$$;
-- +goose StatementEnd

-- holds is true if the log holds the event, or if no event is known (position 0). Otherwise it
-- fails. A statement that appends calls it after the append. It is VOLATILE, so it looks with a
-- snapshot of its own. This is necessary because the append may have waited while somebody replaced
-- the log. Whoever replaces the log later waits until the append is committed.
-- +goose StatementBegin
CREATE FUNCTION eventstore.holds(p_position bigint, p_recorded_at timestamptz, p_id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off -- see append
AS $$
BEGIN
    IF p_position > 0 THEN
        PERFORM FROM eventstore.events e
        WHERE e.position = p_position AND e.recorded_at = p_recorded_at AND coalesce(e.given_id, e.event_id) = p_id;
        IF NOT FOUND THEN
            RETURN eventstore.diverged();
        END IF;
    END IF;
    RETURN true;
END;
$$;
-- +goose StatementEnd
