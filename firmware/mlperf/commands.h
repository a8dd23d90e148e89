/* The commands of MLPerf Tiny's runner, read character by character. Nothing here touches a port or a network.
 *
 * A command is up to 80 characters, words with spaces between them, and ends in '%'. Line ends are ignored, so that a
 * person at a terminal may press return. tinynas's docs/mlperf.md says what each command does.
 */
#ifndef TN_COMMANDS_H
#define TN_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TN_COMMAND_CHARS = 80,
    TN_MOST_BYTES_AT_ONCE = TN_COMMAND_CHARS / 2,
    TN_DEFAULT_WARMUPS = 10, /* the reference firmware's, although its help says 0 */
};

enum tn_command_kind {
    TN_COMMAND_NONE, /* only spaces: how a host finds out that nothing is left over from before */
    TN_COMMAND_REFUSED,
    TN_COMMAND_NAME,
    TN_COMMAND_TIMESTAMP,
    TN_COMMAND_PROFILE,
    TN_COMMAND_HELP,
    TN_COMMAND_RESULTS,
    TN_COMMAND_INFER,
    TN_COMMAND_DB_LOAD,
    TN_COMMAND_DB_PRINT,
    TN_COMMAND_DB_BYTES,
};

struct tn_command {
    enum tn_command_kind kind;
    uint32_t count;      /* inferences; bytes to load, to print; `bytes` that are filled */
    uint32_t warmups;    /* of TN_COMMAND_INFER */
    uint32_t offset;     /* of TN_COMMAND_DB_PRINT */
    bool is_count_given; /* of TN_COMMAND_DB_PRINT */
    const char *why;     /* of TN_COMMAND_REFUSED */
    const char *word;    /* what `why` is about, or "" */
    uint8_t bytes[TN_MOST_BYTES_AT_ONCE];
};

/* Start with one of zeros. */
struct tn_line {
    char text[TN_COMMAND_CHARS + 1];
    uint8_t length;
    bool is_too_long;
};

/* True when `character` ends a command: it must be parsed before the next character is taken. */
bool tn_take(struct tn_line *line, char character);

/* Reads the command in `line` and empties it; `word` stays readable until the next character is taken. */
void tn_parse(struct tn_line *line, struct tn_command *command);

#endif
