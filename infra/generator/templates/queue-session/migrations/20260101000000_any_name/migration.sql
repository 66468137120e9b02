-- CreateTable
CREATE TABLE "any_name_items" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "done_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "any_name_items_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "any_name_items_user_id_id_idx" ON "any_name_items"("user_id", "id");
