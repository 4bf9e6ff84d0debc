/* SPDX-License-Identifier: MIT */
/*
 * faulty_files: a file system that fails when told to.
 *
 * Sits in the storage seam over the real one.  Each kind of call has a
 * countdown: 0 never fails, 1 the next one fails, and from then on all of its
 * kind while `stays` is set.  A failing write or sync does nothing at all.
 */
#ifndef FAULTY_FILES_H
#define FAULTY_FILES_H

#include "pages/file.h"

enum fault_kind {
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_GROW,
    FAULT_CUT,
    FAULT_OPEN,
    FAULT_KINDS,
};

struct fault {
    long countdown;
    int errno_value;
    bool stays;
    unsigned long calls; /* of this kind, failed ones included */
    unsigned long failures;
};

struct faulty_files {
    struct file_system system; /* give this away */
    struct fault faults[FAULT_KINDS];
};

void faulty_files_init(struct faulty_files *faulty);
/* The `countdown`th call of this kind from now on fails with `errno_value`. */
void faulty_files_arm(struct faulty_files *faulty, enum fault_kind kind, long countdown,
                      int errno_value, bool stays);
void faulty_files_disarm(struct faulty_files *faulty);

#endif
