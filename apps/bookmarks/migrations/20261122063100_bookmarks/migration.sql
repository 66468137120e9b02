-- CreateEnum
CREATE TYPE "import_status" AS ENUM ('uploading', 'queued', 'running', 'done', 'failed');

-- CreateTable
CREATE TABLE "bookmarks" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "notes" TEXT NOT NULL,
    "tags" TEXT[],
    "folder" TEXT[],
    "created_at" TIMESTAMPTZ(0) NOT NULL,

    CONSTRAINT "bookmarks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "bookmark_imports" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "status" "import_status" NOT NULL,
    "url" TEXT,
    "sha256" TEXT,
    "total" INTEGER NOT NULL DEFAULT 0,
    "imported" INTEGER NOT NULL DEFAULT 0,
    "skipped" INTEGER NOT NULL DEFAULT 0,
    "error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "bookmark_imports_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "import_chunks" (
    "import_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "bytes" BYTEA NOT NULL,

    CONSTRAINT "import_chunks_pkey" PRIMARY KEY ("import_id","position")
);

-- CreateIndex
CREATE INDEX "bookmarks_user_id_created_at_id_idx" ON "bookmarks"("user_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "bookmarks_user_id_folder_created_at_id_idx" ON "bookmarks"("user_id", "folder", "created_at", "id");

-- CreateIndex
CREATE INDEX "bookmark_imports_status_updated_at_idx" ON "bookmark_imports"("status", "updated_at");

-- AddForeignKey
ALTER TABLE "import_chunks" ADD CONSTRAINT "import_chunks_import_id_fkey" FOREIGN KEY ("import_id") REFERENCES "bookmark_imports"("id") ON DELETE CASCADE ON UPDATE CASCADE;


-- One person has one bookmark per address. By its digest: a B-tree holds no value above 2.7 kB, and addresses may be longer.
-- Two addresses made to have the same digest would only keep their maker from having both.
CREATE UNIQUE INDEX "bookmarks_user_id_url_key" ON "bookmarks"("user_id", md5("url"));

-- No process ever holds a whole file, so no row does.
ALTER TABLE "import_chunks" ADD CONSTRAINT "import_chunks_bytes_length" CHECK (length("bytes") <= 1048576);
