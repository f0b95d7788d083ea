-- +goose Up

-- Each statement of a node names the latest event that the node knows, by position,
-- recorded time and id, and answers only if the log still holds it. So no command is
-- taken by, and nothing is read from, a log that was put in the place of the one that
-- was followed.

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

-- holds is true if the log holds the event, or if none is known (position 0), and else
-- fails. It is for the statement of an append, after which it looks: with a snapshot of
-- its own, because the append may have waited for who replaced the log. Who comes later
-- waits for the append to commit.
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
