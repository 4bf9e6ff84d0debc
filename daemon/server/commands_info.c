/* SPDX-License-Identifier: MIT */
/*
 * commands_info: what the daemon tells about itself, in the words of Redis, so
 * that its tools and exporters understand; our own words beside them.
 */
#include "server/commands.h"

#include "base/err.h"
#include "read/bucket.h"
#include "read/cursor.h"
#include "server/glob.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define INFO_LINE_MAX 1024
#define INFO_KEYSPACE_MAX 1024u /* buckets listed */

/* ---- INFO ------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3)))
static void info_line(struct resp_buffer *text, const char *format, ...)
{
    char line[INFO_LINE_MAX];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    resp_append(text, line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
    resp_append(text, "\r\n", 2);
}

static void info_server(struct server *server, struct resp_buffer *text)
{
    uint64_t uptime_s = (server_wall_clock_ms() - server->started_ms) / 1000;

    info_line(text, "redis_version:7.0.0");
    info_line(text, "redis_mode:standalone");
    info_line(text, "btstore_version:%s", PACKAGE_VERSION);
    info_line(text, "process_id:%d", (int)getpid());
    info_line(text, "tcp_port:0");
    info_line(text, "uptime_in_seconds:%" PRIu64, uptime_s);
    info_line(text, "uptime_in_days:%" PRIu64, uptime_s / 86400);
    info_line(text, "store_path:%s", server->path);
    info_line(text, "store_page_size:%zu", server->page_size);
    info_line(text, "run_directory:%s", server->run.path);
    info_line(text, "generation:%" PRIu64, server->run.generation);
}

static void info_clients(struct server *server, struct resp_buffer *text)
{
    info_line(text, "connected_clients:%zu", server->sessions.count);
    info_line(text, "maxclients:%u", SERVER_CLIENTS_MAX);
    info_line(text, "blocked_clients:0");
    info_line(text, "attached_readers:%zu", server->readers.count);
    info_line(text, "readers_of_other_daemons:%d", strangers_present(&server->strangers));
}

/* Resident bytes, from /proc/self/statm; 0: not known. */
static uint64_t info_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long size = 0;
    unsigned long long resident = 0;

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
        resident = 0;
    }
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void info_memory(struct server *server, struct resp_buffer *text)
{
    uint64_t resident = info_resident_bytes();

    info_line(text, "used_memory:%" PRIu64, resident);
    info_line(text, "used_memory_rss:%" PRIu64, resident);
    info_line(text, "maxmemory:0");
    info_line(text, "maxmemory_policy:noeviction");
    info_line(text, "client_input_bytes:%" PRIu64, server->sessions.input_bytes);
    info_line(text, "queued_batch_bytes:%" PRIu64, server->group.queued_bytes);
}

static void info_persistence(struct server *server, struct resp_buffer *text)
{
    struct commit_stat stat = commit_stat(server->commit);

    info_line(text, "loading:0");
    info_line(text, "aof_enabled:1");
    info_line(text, "aof_last_write_status:ok");
    info_line(text, "rdb_last_bgsave_status:ok");
    info_line(text, "txnid:%" PRIu64, stat.latest);
    info_line(text, "checkpoint_txnid:%" PRIu64, stat.checkpoint);
    info_line(text, "checkpoints:%" PRIu64, stat.checkpoints);
    info_line(text, "direct_commits:%" PRIu64, stat.direct);
    info_line(text, "log_bytes:%" PRIu64, stat.log_bytes);
    info_line(text, "log_size:%" PRIu64, stat.log_size);
    info_line(text, "replayed_frames:%" PRIu64, stat.replayed_frames);
    info_line(text, "replayed_operations:%" PRIu64, stat.replayed_operations);
}

static void info_stats(struct server *server, struct resp_buffer *text)
{
    struct commit_stat stat = commit_stat(server->commit);

    info_line(text, "total_connections_received:%" PRIu64, server->sessions.accepted);
    info_line(text, "rejected_connections:%" PRIu64, server->sessions.refused);
    info_line(text, "total_commands_processed:%" PRIu64, server->sessions.commands);
    info_line(text, "expired_keys:0");
    info_line(text, "evicted_keys:0");
    info_line(text, "commit_groups:%" PRIu64, stat.groups);
    info_line(text, "commit_batches:%" PRIu64, stat.batches);
    info_line(text, "commit_refused:%" PRIu64, stat.refused);
    info_line(text, "log_syncs:%" PRIu64, stat.syncs);
}

static void info_stage(struct resp_buffer *text, const char *name,
                       struct histogram_summary summary)
{
    info_line(text, "%s:p50=%" PRIu32 ",p99=%" PRIu32 ",max=%" PRIu32 ",count=%" PRIu64, name,
              summary.p50, summary.p99, summary.largest, summary.count);
}

/* The bytes that the reader with the oldest snapshot retains. */
static uint64_t info_retained(const struct server *server)
{
    uint64_t most = 0;

    commit_look(server->commit);
    for (size_t i = 0; i < server->readers.count; i++) {
        struct reader_snapshots snapshots = readers_snapshots(&server->readers.entries[i]);
        uint64_t retained =
            snapshots.oldest != 0 ? commit_retained_bytes(server->commit, snapshots.oldest) : 0;
        most = retained > most ? retained : most;
    }
    return most;
}

/* The way of a commit: what stands where, and how long each stage took of late. */
static void info_pipeline(struct server *server, struct resp_buffer *text)
{
    static const char *const names[COMMIT_STAGES] = {
        [COMMIT_STAGE_WAIT] = "stage_wait_us",   [COMMIT_STAGE_APPLY] = "stage_apply_us",
        [COMMIT_STAGE_LOG] = "stage_log_us",     [COMMIT_STAGE_TOTAL] = "stage_total_us",
        [COMMIT_STAGE_GROUP] = "group_requests",
    };
    struct commit_stat stat = commit_stat(server->commit);

    info_line(text, "batches:%" PRIu64, stat.batches);
    info_line(text, "groups:%" PRIu64, stat.groups);
    info_line(text, "syncs:%" PRIu64, stat.syncs);
    for (unsigned i = 0; i < COMMIT_STAGES; i++) {
        info_stage(text, names[i], commit_stage_summary(server->commit, (enum commit_stage)i));
    }
    info_line(text, "latest_txnid:%" PRIu64, stat.latest);
    info_line(text, "durable_txnid:%" PRIu64, stat.durable);
    info_line(text, "log_used_bytes:%" PRIu64, stat.log_bytes);
    info_line(text, "log_limit_bytes:%" PRIu64, commit_log_limit(server->commit));
    info_line(text, "checkpoint_permille:%d", commit_checkpoint_progress(server->commit));
    info_line(text, "pages:%" PRIu64, stat.space.page_count);
    info_line(text, "pages_live:%" PRIu64, stat.space.live);
    info_line(text, "pages_free:%" PRIu64, stat.space.free);
    info_line(text, "pages_limbo:%" PRIu64, stat.space.limbo);
    info_line(text, "retained_bytes_max:%" PRIu64, info_retained(server));
}

static void info_replication(struct server *server, struct resp_buffer *text)
{
    (void)server;
    info_line(text, "role:master");
    info_line(text, "connected_slaves:0");
}

static void info_keyspace(struct server *server, struct resp_buffer *text)
{
    struct tree_view directory = commit_latest(server->commit);
    struct cursor cursor;
    struct bucket_record record;
    struct bts_bytes name, value;
    unsigned listed = 0;

    cursor_init(&cursor, &directory);
    while (listed++ < INFO_KEYSPACE_MAX &&
           cursor_next(&cursor, &name, &value, NULL) == BTS_OK &&
           bucket_record_decode(value.data, value.size, &record, NULL) == BTS_OK) {
        char shown[CALL_TEXT_SIZE];
        info_line(text, "db%" PRIu32 ":keys=%" PRIu64 ",expires=0,avg_ttl=0,name=%s", record.id,
                  record.entry_count, call_text(&name, shown));
    }
}

static void info_cpu(struct server *server, struct resp_buffer *text)
{
    struct rusage usage;

    (void)server;
    getrusage(RUSAGE_SELF, &usage);
    info_line(text, "used_cpu_sys:%ld.%06ld", (long)usage.ru_stime.tv_sec,
              (long)usage.ru_stime.tv_usec);
    info_line(text, "used_cpu_user:%ld.%06ld", (long)usage.ru_utime.tv_sec,
              (long)usage.ru_utime.tv_usec);
}

static const struct {
    const char *name;
    const char *title;
    void (*write)(struct server *server, struct resp_buffer *text);
} info_sections[] = {
    {"server", "# Server", info_server},
    {"clients", "# Clients", info_clients},
    {"memory", "# Memory", info_memory},
    {"persistence", "# Persistence", info_persistence},
    {"stats", "# Stats", info_stats},
    {"pipeline", "# Pipeline", info_pipeline},
    {"replication", "# Replication", info_replication},
    {"cpu", "# CPU", info_cpu},
    {"keyspace", "# Keyspace", info_keyspace},
};

static bool info_wants(const struct call *call, const char *section)
{
    if (call->part_count == 1) {
        return true;
    }
    for (size_t i = 1; i < call->part_count; i++) {
        if (call_part_is(call, i, section) || call_part_is(call, i, "all") ||
            call_part_is(call, i, "everything") || call_part_is(call, i, "default")) {
            return true;
        }
    }
    return false;
}

static void info_info(struct call *call)
{
    struct resp_buffer *text = call_scratch(call);

    for (size_t i = 0; i < sizeof(info_sections) / sizeof(info_sections[0]); i++) {
        if (!info_wants(call, info_sections[i].name)) {
            continue;
        }
        if (text->size > 0) {
            resp_append(text, "\r\n", 2);
        }
        info_line(text, "%s", info_sections[i].title);
        info_sections[i].write(call->server, text);
    }
    resp_bulk(call->out, text->data, text->size);
}

/* ---- COMMAND --------------------------------------------------------------------- */

static void info_describe(struct resp_buffer *out, const struct command *command)
{
    bool writes = (command->flags & COMMAND_WRITE) != 0;
    bool reads = (command->flags & COMMAND_READ) != 0;

    resp_array(out, 6);
    resp_text(out, command->name);
    resp_number(out, command->arity);
    resp_array(out, (size_t)writes + (size_t)reads);
    if (writes) {
        resp_simple(out, "write");
    }
    if (reads) {
        resp_simple(out, "readonly");
    }
    resp_number(out, command->first_key);
    resp_number(out, command->last_key);
    resp_number(out, command->key_step);
}

static size_t info_command_count(void)
{
    size_t count = 0;

    for (size_t i = 0; command_tables[i] != NULL; i++) {
        for (const struct command *at = command_tables[i]; at->name != NULL; at++) {
            count++;
        }
    }
    return count;
}

static void info_command_all(struct call *call)
{
    resp_array(call->out, info_command_count());
    for (size_t i = 0; command_tables[i] != NULL; i++) {
        for (const struct command *at = command_tables[i]; at->name != NULL; at++) {
            info_describe(call->out, at);
        }
    }
}

static void info_command_number(struct call *call)
{
    resp_number(call->out, (int64_t)info_command_count());
}

static void info_command_info(struct call *call)
{
    if (call->part_count == 2) {
        info_command_all(call);
        return;
    }
    resp_array(call->out, call->part_count - 2);
    for (size_t i = 2; i < call->part_count; i++) {
        const struct command *command = command_find(&call->parts[i]);
        if (command != NULL) {
            info_describe(call->out, command);
        } else {
            resp_null_array(call->out, call->version);
        }
    }
}

/* Clients that ask for help texts live without them. */
static void info_command_docs(struct call *call)
{
    resp_map(call->out, 0, call->version);
}

static const struct command info_command_subcommands[] = {
    {"count", 2, 0, 0, 0, 0, info_command_number, NULL, NULL},
    {"info", -2, 0, 0, 0, 0, info_command_info, NULL, NULL},
    {"docs", -2, 0, 0, 0, 0, info_command_docs, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* ---- CONFIG ---------------------------------------------------------------------- */

/* What tools ask for, as it is here; nothing of it can be set. */
static const struct {
    const char *name;
    const char *value;
} info_settings[] = {
    {"appendfsync", "always"},
    {"appendonly", "yes"},
    {"databases", "4294967295"},
    {"maxmemory", "0"},
    {"maxmemory-policy", "noeviction"},
    {"proto-max-bulk-len", "536870912"},
    {"save", ""},
    {"timeout", "0"},
};
#define INFO_SETTING_COUNT (sizeof(info_settings) / sizeof(info_settings[0]))

static bool info_setting_wanted(const struct call *call, size_t setting)
{
    const char *name = info_settings[setting].name;

    for (size_t i = 2; i < call->part_count; i++) {
        if (glob_match(call->parts[i].data, call->parts[i].size, name, strlen(name), true)) {
            return true;
        }
    }
    return false;
}

static void info_config_get(struct call *call)
{
    size_t count = 0;

    for (size_t i = 0; i < INFO_SETTING_COUNT; i++) {
        count += info_setting_wanted(call, i);
    }
    resp_map(call->out, count, call->version);
    for (size_t i = 0; i < INFO_SETTING_COUNT; i++) {
        if (info_setting_wanted(call, i)) {
            resp_text(call->out, info_settings[i].name);
            resp_text(call->out, info_settings[i].value);
        }
    }
}

static void info_config_set(struct call *call)
{
    call_error(call, "CONFIG SET: nothing can be set while btstored runs; see btstored --help");
}

static const struct command info_config_subcommands[] = {
    {"get", -3, 0, 0, 0, 0, info_config_get, NULL, NULL},
    {"set", -4, 0, 0, 0, 0, info_config_set, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* ---- the rest -------------------------------------------------------------------- */

static void info_time(struct call *call)
{
    struct timespec now;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    resp_array(call->out, 2);
    snprintf(text, sizeof(text), "%lld", (long long)now.tv_sec);
    resp_text(call->out, text);
    snprintf(text, sizeof(text), "%ld", now.tv_nsec / 1000);
    resp_text(call->out, text);
}

/* As Redis: no reply, the connection ends with the daemon. */
static void info_shutdown(struct call *call)
{
    if (!peer_is_owner(&call->session->peer)) {
        resp_status_error(call->out, BTS_DENIED,
                          "only the daemon's user and root may stop the daemon");
        return;
    }
    call->server->stopping = true;
}

const struct command commands_info[] = {
    {"info", -1, 0, 0, 0, 0, info_info, NULL, NULL},
    {"command", -1, 0, 0, 0, 0, info_command_all, NULL, info_command_subcommands},
    {"config", -2, 0, 0, 0, 0, NULL, NULL, info_config_subcommands},
    {"time", 1, 0, 0, 0, 0, info_time, NULL, NULL},
    {"shutdown", -1, 0, 0, 0, 0, info_shutdown, NULL, NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
