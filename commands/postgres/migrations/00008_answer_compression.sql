-- +goose Up

-- A body of two kilobytes or more is compressed with lz4, if the server was built with it. The
-- default method takes several times as long, and saves only a little more room.
-- +goose StatementBegin
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        ALTER TABLE commands.answers ALTER COLUMN body SET COMPRESSION lz4;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE commands.answers ALTER COLUMN body SET COMPRESSION DEFAULT;
    END IF;
END $$;
-- +goose StatementEnd
