/* SPDX-License-Identifier: MIT */
/*
 * fuzz_tree: rows of operations on trees and buckets, without log and metas.
 *
 * Promises: what fuzz_sequence compares; that after each group every page,
 * count and order is right and exactly the reachable pages are live; that a
 * group taken back leaves no trace.
 */
#include "../unit/writer_fixture.h"
#include "fuzz.h"
#include "fuzz_sequence.h"

static struct writer tree_writer;

static void tree_open(void)
{
    writer_open(&tree_writer, ORACLE_PAGE_SIZE);
}

static void tree_close(void)
{
    writer_close(&tree_writer);
}

static bool tree_group(struct sequence_batch *batches, size_t count, bool taken_back)
{
    writer_begin(&tree_writer);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *bytes = batch_bytes(&batches[i].batch, &size);
        FUZZ_PROMISE(batch_check(bytes, size, ORACLE_PAGE_SIZE, NULL) == BTS_OK);
        batches[i].status = apply_batch(tree_writer.buckets, tree_writer.pages, APPLY_LIVE, bytes,
                                        size, &batches[i].results, NULL);
    }
    if (taken_back) {
        writer_abort(&tree_writer);
        tree_writer.txnid--; /* its number is free again, as it is in the engine */
    } else {
        writer_commit(&tree_writer);
    }
    return taken_back;
}

/* There is nothing to kill: some groups without a change, so that space comes back. */
static void tree_event(enum sequence_event event)
{
    for (unsigned i = 0; i <= (unsigned)event; i++) {
        writer_begin(&tree_writer);
        writer_commit(&tree_writer);
    }
}

static struct tree_view tree_directory(void)
{
    return writer_view(&tree_writer);
}

static void tree_check_all(void)
{
    writer_check(&tree_writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sequence_store store = {
        tree_open, tree_close, tree_group, tree_event, tree_directory, tree_check_all,
    };

    sequence_run(&store, data, size);
    return 0;
}

size_t fuzz_seed(unsigned index, uint8_t *out)
{
    return sequence_seed(index, out);
}
