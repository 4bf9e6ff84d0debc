/* SPDX-License-Identifier: MIT */
/*
 * commands: what a request asks for, as tables of small handlers.
 *
 * A command either answers at once (`run`), or builds operations into a batch
 * and plans what becomes of their results (`build`), or can do both: then it
 * runs alone and is built within MULTI.  There is one path to the tree: every
 * write of every command is a batch.
 *
 * Tables end with a NULL name; names are lower case.
 */
#ifndef SERVER_COMMANDS_H
#define SERVER_COMMANDS_H

#include "server/server.h"

enum command_flag {
    COMMAND_WRITE = 1,    /* writes, or may */
    COMMAND_READ = 2,     /* reads keys */
    COMMAND_IN_MULTI = 4, /* runs at once within MULTI, too */
};

/* One request at hand. */
struct call {
    struct server *server;
    struct session *session;
    const struct command *command;
    const struct bts_bytes *parts; /* the command's name first */
    size_t part_count;
    struct resp_buffer *out;
    unsigned version; /* of RESP */
};

struct command {
    const char *name;
    int arity; /* words, name included; negative: at least so many */
    unsigned flags;
    int first_key; /* 0: no keys */
    int last_key;
    int key_step;
    void (*run)(struct call *call);
    enum bts_status (*build)(struct call *call, struct write *write, struct bts_error *error);
    const struct command *subcommands;
};

extern const struct command commands_connection[];
extern const struct command commands_keys[];
extern const struct command commands_scan[];
extern const struct command commands_transaction[];
extern const struct command commands_bucket[];
extern const struct command commands_info[];
extern const struct command commands_native[];

/* All tables, in order; ends with NULL. */
extern const struct command *const command_tables[];

/* NULL: there is none of that name, in upper or lower case. */
const struct command *command_find(const struct bts_bytes *word);

enum call_result {
    CALL_DONE, /* answered, or queued */
    CALL_WAIT, /* not now: nothing happened, ask again later */
};

enum call_result commands_run(struct session *session, const struct bts_bytes *parts,
                              size_t part_count);

/* ---- for handlers ---------------------------------------------------------------- */

/* Whether a word is this one, in upper or lower case. */
bool call_word_is(const struct bts_bytes *word, const char *lower);
bool call_word_is_digits(const struct bts_bytes *word);
bool call_part_is(const struct call *call, size_t index, const char *lower);

/* A word as a decimal number; false: it is none, or leaves the range. */
bool call_number(const struct bts_bytes *word, int64_t *number);

/* "-ERR text". */
__attribute__((format(printf, 2, 3)))
void call_error(struct call *call, const char *format, ...);
/* The text of a failed function, with the word of its status. */
void call_failed(struct call *call, const struct bts_error *error);

/* An empty buffer for a part of a reply whose size must be known first; one for all. */
struct resp_buffer *call_scratch(struct call *call);

/* Makes a text of the caller's from a word: cut, unprintable bytes replaced. */
#define CALL_TEXT_SIZE 128u
const char *call_text(const struct bts_bytes *word, char text[CALL_TEXT_SIZE]);

/* Puts one operation on the session's bucket into the write. */
BTS_MUST_USE enum bts_status call_add(struct call *call, struct write *write, enum batch_type type,
                                      unsigned flags, const struct bts_bytes *first,
                                      const void *second, size_t second_size,
                                      struct bts_error *error);

/* The newest state, and in it a bucket: by its number and last known name, or as a word says. */
BTS_MUST_USE enum bts_status call_session_bucket(struct call *call, struct tree_view *view,
                                                 struct bts_error *error);
struct named_bucket {
    struct bucket_record record;
    uint8_t name[BTS_BUCKET_NAME_MAX];
    size_t name_size;
};
BTS_MUST_USE enum bts_status call_find_bucket(struct call *call, const struct bts_bytes *word,
                                              struct named_bucket *bucket,
                                              struct bts_error *error);

#endif
