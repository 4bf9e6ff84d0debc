/* SPDX-License-Identifier: MIT */
/*
 * peer: see peer.h.
 */
#include "server/peer.h"

#include "base/err.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More groups than a process can be in. */
#define PEER_GROUPS_MAX 65536

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum bts_status peer_identify(int fd, struct peer *peer, struct bts_error *error)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return err_set_errno(error, BTS_IO, errno, "client: cannot tell who it is");
    }
    *peer = (struct peer){credentials.pid, credentials.uid, credentials.gid};
    return BTS_OK;
}

enum bts_status peer_find_group(const char *name, gid_t *group, struct bts_error *error)
{
    const struct group *found = getgrnam(name);

    if (found == NULL) {
        *group = PEER_NO_GROUP;
        return err_set(error, BTS_INVALID, "--group: there is no group '%s'; make it: groupadd %s",
                       name, name);
    }
    *group = found->gr_gid;
    return BTS_OK;
}

static bool peer_list_has(const gid_t *groups, size_t count, gid_t group)
{
    for (size_t i = 0; i < count; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

/* The groups of the peer's process, as the kernel had them when it connected. */
static bool peer_process_has_group(int fd, gid_t group)
{
    socklen_t size = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE ||
        size == 0 || size > PEER_GROUPS_MAX * sizeof(gid_t)) {
        return false;
    }
    gid_t *groups = malloc(size);
    bool has = groups != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0 &&
               peer_list_has(groups, size / sizeof(gid_t), group);
    free(groups);
    return has;
}

/* The groups that the user database gives the user. */
static bool peer_user_has_group(const struct peer *peer, gid_t group)
{
    const struct passwd *user = getpwuid(peer->uid);
    int count = 0;

    if (user == NULL) {
        return false;
    }
    getgrouplist(user->pw_name, peer->gid, NULL, &count);
    if (count <= 0 || count > PEER_GROUPS_MAX) {
        return false;
    }
    gid_t *groups = malloc((size_t)count * sizeof(gid_t));
    bool has = groups != NULL && getgrouplist(user->pw_name, peer->gid, groups, &count) > 0 &&
               peer_list_has(groups, (size_t)count, group);
    free(groups);
    return has;
}

bool peer_is_owner(const struct peer *peer)
{
    return peer->uid == 0 || peer->uid == geteuid();
}

enum bts_status peer_check(int fd, const struct peer *peer, gid_t group, struct bts_error *error)
{
    if (peer_is_owner(peer)) {
        return BTS_OK;
    }
    if (group == PEER_NO_GROUP) {
        return err_set(error, BTS_DENIED,
                       "user %u may not use this store: only user %u and root may; start "
                       "btstored with --group to let a group in",
                       (unsigned)peer->uid, (unsigned)geteuid());
    }
    if (peer->gid == group || peer_process_has_group(fd, group) ||
        peer_user_has_group(peer, group)) {
        return BTS_OK;
    }
    return err_set(error, BTS_DENIED,
                   "user %u may not use this store: only user %u, root and members of group %u may",
                   (unsigned)peer->uid, (unsigned)geteuid(), (unsigned)group);
}
