/* SPDX-License-Identifier: MIT */
/*
 * peer: who is at the other end of a connection, and whether he may be.
 *
 * The kernel tells (SO_PEERCRED, SO_PEERGROUPS); nothing that a client says
 * about itself is asked or believed.
 */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <btstore.h>
#include <sys/types.h>

#define PEER_NO_GROUP ((gid_t)-1)

struct peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

BTS_MUST_USE enum bts_status peer_identify(int fd, struct peer *peer, struct bts_error *error);

/* The group's number.  BTS_INVALID: no group of that name. */
BTS_MUST_USE enum bts_status peer_find_group(const char *name, gid_t *group,
                                             struct bts_error *error);

/*
 * The rule: the user of the daemon, root, and the members of `group`
 * (PEER_NO_GROUP: nobody else).  BTS_DENIED: the text names user and rule.
 */
BTS_MUST_USE enum bts_status peer_check(int fd, const struct peer *peer, gid_t group,
                                        struct bts_error *error);

/* Whether it may stop the daemon. */
bool peer_is_owner(const struct peer *peer);

#endif
