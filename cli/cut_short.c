/* SPDX-License-Identifier: MIT */
/*
 * cut_short: a command whose file is cut short under it ends with a message.
 *
 * Reading goes through a map of the file: where the file no longer reaches, or
 * its disk fails, a load is a SIGBUS.  The library leaves that signal to the
 * program; here is what this one does.  The handler leaves the command by a
 * jump, says which page it was and ends the process, for nobody knows what the
 * command was in the middle of.
 *
 * What was printed until then is printed: bytes of the map are copied before
 * stdio has them (text.c), so no load fails inside it.
 */
#include "cli.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static sigjmp_buf cut_short_jump;
static const void *volatile cut_short_address;

static void cut_short_handle(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    cut_short_address = info->si_addr;
    siglongjmp(cut_short_jump, 1);
}

_Noreturn static void cut_short_tell(const struct cli *cli)
{
    uint64_t page;

    fflush(stdout);
    if (cli->store != NULL && bts_store_page_at(cli->store, cut_short_address, &page)) {
        fprintf(stderr,
                "btstore: %s: page %" PRIu64 ": cannot be read: the file was cut short meanwhile, "
                "or its disk fails; restore it, or save what is left with btstore salvage\n",
                cli->store_path, page);
    } else {
        fprintf(stderr, "btstore: %s: a bus error at %p: memory or a disk fails\n",
                cli->store_path, cut_short_address);
    }
    _exit(CLI_ERROR);
}

int cut_short_guard(int (*run)(struct cli *cli), struct cli *cli)
{
    struct sigaction action;
    struct sigaction before;
    int result;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = cut_short_handle;
    action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    sigaction(SIGBUS, &action, &before);
    if (sigsetjmp(cut_short_jump, 1) != 0) {
        cut_short_tell(cli);
    }
    result = run(cli);
    sigaction(SIGBUS, &before, NULL);
    return result;
}
