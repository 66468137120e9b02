-- CreateTable
CREATE TABLE "any_name_items" (
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "done_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "any_name_items_pkey" PRIMARY KEY ("id")
);
