-- +goose Up

-- The texts of people are encrypted, and cannot be compressed. So a row of up to four kilobytes
-- stays as it is: to try to compress it, and to move it to another table, would cost more than its
-- room. Only larger rows are compressed, with lz4 if the server was built with it. The default
-- method takes several times as long, and saves only a little more room.
ALTER TABLE eventstore.events SET (toast_tuple_target = 4080);

-- +goose StatementBegin
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        ALTER TABLE eventstore.events ALTER COLUMN data SET COMPRESSION lz4;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE eventstore.events RESET (toast_tuple_target);

-- +goose StatementBegin
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE eventstore.events ALTER COLUMN data SET COMPRESSION DEFAULT;
    END IF;
END $$;
-- +goose StatementEnd
