/* SPDX-License-Identifier: MIT */
/*
 * test_glob: patterns against texts, by hand, by a model, and hostile ones.
 */
#include "server/glob.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "unit.h"

static bool matches(const char *pattern, const char *text)
{
    return glob_match(pattern, strlen(pattern), text, strlen(text), false);
}

START_TEST(each_kind_of_element_matches_what_redis_matches)
{
    static const struct {
        const char *pattern;
        const char *text;
        bool match;
    } cases[] = {
        {"", "", true},           {"", "a", false},          {"a", "", false},
        {"abc", "abc", true},     {"abc", "abd", false},     {"abc", "abcd", false},
        {"*", "", true},          {"*", "anything", true},   {"**", "", true},
        {"a*", "a", true},        {"a*", "ba", false},       {"*a", "bca", true},
        {"a*c", "abbc", true},    {"a*c", "abb", false},     {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxcyyb", false}, {"*ab*ab", "abab", true}, {"?", "", false},
        {"?", "x", true},         {"??", "x", false},        {"a?c", "abc", true},
        {"[abc]", "b", true},     {"[abc]", "d", false},     {"[a-c]", "b", true},
        {"[c-a]", "b", true},     {"[a-c]", "d", false},     {"[^abc]", "d", true},
        {"[^abc]", "a", false},   {"[^a-c]x", "dx", true},   {"[]", "a", false},
        {"[^]", "a", true},       {"[a", "a", true},         {"[a", "b", false},
        {"[a-", "-", true},       {"[\\]]", "]", true},      {"[\\a-\\c]", "b", true},
        {"\\*", "*", true},       {"\\*", "a", false},       {"\\?", "?", true},
        {"\\", "\\", true},       {"a\\", "a\\", true},      {"\\[a]", "[a]", true},
        {"*[0-9]", "key7", true}, {"*[0-9]", "key", false},  {"h[^e]llo", "hallo", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(matches(cases[i].pattern, cases[i].text) == cases[i].match,
                      "'%s' and '%s': not %d", cases[i].pattern, cases[i].text, cases[i].match);
    }
}
END_TEST

START_TEST(bytes_are_bytes)
{
    ck_assert(glob_match("a\0*", 3, "a\0b\xff", 4, false));
    ck_assert(!glob_match("a\0*", 3, "ab", 2, false));
    ck_assert(glob_match("[\x80-\xff]", 5, "\xc3", 1, false));
    ck_assert(!glob_match("[\x80-\xff]", 5, "a", 1, false));
}
END_TEST

START_TEST(case_is_ignored_only_when_asked)
{
    ck_assert(glob_match("SaVe", 4, "save", 4, true));
    ck_assert(!glob_match("SaVe", 4, "save", 4, false));
    ck_assert(glob_match("[A-C]x", 6, "bX", 2, true));
    ck_assert(glob_match("APPEND*", 7, "appendonly", 10, true));
}
END_TEST

/* What the words of the header mean, said by recursion; for elements without sets. */
static bool model(const char *pattern, const char *text)
{
    switch (*pattern) {
    case '\0':
        return *text == '\0';
    case '*':
        return model(pattern + 1, text) || (*text != '\0' && model(pattern, text + 1));
    case '?':
        return *text != '\0' && model(pattern + 1, text + 1);
    default:
        return *pattern == *text && model(pattern + 1, text + 1);
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

static void random_word(uint32_t *state, const char *letters, size_t max, char *word)
{
    size_t size = next_random(state) % (max + 1);

    for (size_t i = 0; i < size; i++) {
        word[i] = letters[next_random(state) % strlen(letters)];
    }
    word[size] = '\0';
}

START_TEST(random_patterns_match_as_the_model_says)
{
    uint32_t state = 4711;
    unsigned matched = 0;

    for (int i = 0; i < 300000; i++) {
        char pattern[9];
        char text[13];
        random_word(&state, "ab?**", 8, pattern);
        random_word(&state, "ab", 12, text);
        bool wanted = model(pattern, text);
        ck_assert_msg(matches(pattern, text) == wanted, "'%s' and '%s'", pattern, text);
        matched += wanted;
    }
    ck_assert_uint_gt(matched, 10000);
}
END_TEST

START_TEST(a_hostile_pattern_costs_no_more_than_its_size_times_the_text)
{
    static char pattern[4001];
    static char text[4000];
    clock_t began = clock();

    for (size_t i = 0; i < 4000; i += 2) {
        memcpy(pattern + i, "a*", 2);
    }
    pattern[4000] = 'b';
    memset(text, 'a', sizeof(text));
    for (int i = 0; i < 10; i++) {
        ck_assert(!glob_match(pattern, sizeof(pattern), text, sizeof(text), false));
        ck_assert(!glob_match("*a*aaaaaaaaaaaaaaab", 19, text, sizeof(text), false));
        memset(pattern, '[', 4000);
        ck_assert(!glob_match(pattern, 4000, text, sizeof(text), false));
    }
    ck_assert_int_lt((clock() - began) / CLOCKS_PER_SEC, 10);
}
END_TEST

START_TEST(the_prefix_is_what_every_match_begins_with)
{
    static const struct {
        const char *pattern;
        const char *prefix;
    } cases[] = {{"user:*", "user:"}, {"*", ""},       {"", ""},
                 {"abc", "abc"},      {"a\\*b*", "a*b"}, {"ab?c", "ab"},
                 {"ab[c]", "ab"},     {"ab\\", "ab\\"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char prefix[16];
        size_t size = glob_prefix(cases[i].pattern, strlen(cases[i].pattern), prefix);
        ck_assert_uint_eq(size, strlen(cases[i].prefix));
        ck_assert_mem_eq(prefix, cases[i].prefix, size);
    }
}
END_TEST

int main(void)
{
    return UNIT_RUN("glob", each_kind_of_element_matches_what_redis_matches, bytes_are_bytes,
                    case_is_ignored_only_when_asked, random_patterns_match_as_the_model_says,
                    a_hostile_pattern_costs_no_more_than_its_size_times_the_text,
                    the_prefix_is_what_every_match_begins_with);
}
