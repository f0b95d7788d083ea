-- +goose Up

-- The key of a timer now has everything that its deadline is about. Before, it was a text without
-- the stream of a reservation. So the same reservation id in two streams of stock had only one
-- timer. Existing rows keep their deadlines.
ALTER TABLE commands.timers ADD COLUMN item text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE commands.timers ALTER COLUMN target TYPE text COLLATE "C", ALTER COLUMN kind TYPE text COLLATE "C";
UPDATE commands.timers SET item = substr(key, length('reservation/') + 1) WHERE kind = 'reservation';
ALTER TABLE commands.timers DROP COLUMN key, ADD PRIMARY KEY (kind, target, item);

-- +goose Down
ALTER TABLE commands.timers ADD COLUMN key text COLLATE "C";
DELETE FROM commands.timers a USING commands.timers b
    WHERE a.kind = b.kind AND a.kind = 'reservation' AND a.item = b.item AND (a.due_at, a.target) > (b.due_at, b.target);
UPDATE commands.timers SET key = kind || '/' || CASE WHEN item = '' THEN target ELSE item END;
ALTER TABLE commands.timers DROP CONSTRAINT timers_pkey, DROP COLUMN item, ADD PRIMARY KEY (key);
