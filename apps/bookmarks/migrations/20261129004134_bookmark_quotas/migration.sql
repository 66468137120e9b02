-- AlterTable
ALTER TABLE "bookmark_imports" ADD COLUMN     "bytes" BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "bookmark_usage" (
    "user_id" TEXT NOT NULL,
    "bookmarks" INTEGER NOT NULL,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "bookmark_usage_pkey" PRIMARY KEY ("user_id")
);

-- The bytes of a bookmark's texts.
CREATE FUNCTION "bookmark_bytes"(url TEXT, title TEXT, notes TEXT, tags TEXT[], folder TEXT[]) RETURNS BIGINT LANGUAGE sql STABLE AS $$
  SELECT octet_length(url)::bigint + octet_length(title) + octet_length(notes)
    + octet_length(array_to_string(tags, '')) + octet_length(array_to_string(folder, ''))
$$;

-- A quota is only as true as its count, and during a release the code before this one writes bookmarks, too. So the count is
-- kept here and not in the code. Users in order, since two statements that met them in different order would wait for each other.
CREATE FUNCTION "count_bookmarks"() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO bookmark_usage AS usage (user_id, bookmarks, bytes)
    SELECT user_id, -count(*), -sum(bookmark_bytes(url, title, notes, tags, folder)) FROM old_rows
    GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE
      SET bookmarks = usage.bookmarks + excluded.bookmarks, bytes = usage.bytes + excluded.bytes;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO bookmark_usage AS usage (user_id, bookmarks, bytes)
    SELECT user_id, count(*), sum(bookmark_bytes(url, title, notes, tags, folder)) FROM new_rows
    GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE
      SET bookmarks = usage.bookmarks + excluded.bookmarks, bytes = usage.bytes + excluded.bytes;
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "count_inserted" AFTER INSERT ON "bookmarks"
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION "count_bookmarks"();
CREATE TRIGGER "count_updated" AFTER UPDATE ON "bookmarks"
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION "count_bookmarks"();
CREATE TRIGGER "count_deleted" AFTER DELETE ON "bookmarks"
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION "count_bookmarks"();

-- What is there already. To make a trigger keeps writers out until the migration ends, so nothing is missed or counted twice.
INSERT INTO "bookmark_usage"
SELECT user_id, count(*), sum(bookmark_bytes(url, title, notes, tags, folder)) FROM "bookmarks" GROUP BY user_id;
