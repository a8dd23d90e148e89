#include "commands.h"

#include <stddef.h>
#include <string.h>

enum {
    MOST_WORDS = 5, /* of `db print N OFFSET`, and one that is too many */
    MOST_DIGITS = 9, /* so that a number fits 32 bits */
};

struct words {
    char *word[MOST_WORDS];
    uint32_t count;
};

bool tn_take(struct tn_line *line, char character)
{
    if (character == '%') {
        return true;
    }
    if (character == '\r' || character == '\n' || character == '\0') {
        return false;
    }
    if (line->length == TN_COMMAND_CHARS) {
        line->is_too_long = true;
        return false;
    }
    line->text[line->length++] = character;
    return false;
}

/* Cuts the text at its spaces; what follows the last word that there is room for is left out. */
static struct words split(char *text)
{
    struct words words = {.count = 0};

    while (words.count < MOST_WORDS) {
        while (*text == ' ') {
            text++;
        }
        if (*text == '\0') {
            break;
        }
        words.word[words.count++] = text;
        while (*text != ' ' && *text != '\0') {
            text++;
        }
        if (*text == ' ') {
            *text++ = '\0';
        }
    }
    return words;
}

static bool read_number(const char *word, uint32_t *number)
{
    uint32_t value = 0;
    uint32_t digits = 0;

    for (; word[digits] != '\0'; digits++) {
        if (word[digits] < '0' || word[digits] > '9' || digits == MOST_DIGITS) {
            return false;
        }
        value = 10 * value + (uint32_t)(word[digits] - '0');
    }
    *number = value;
    return digits > 0;
}

static int read_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static void refuse(struct tn_command *command, const char *why, const char *word)
{
    command->kind = TN_COMMAND_REFUSED;
    command->why = why;
    command->word = word;
}

static void parse_bytes(struct tn_command *command, char *digits)
{
    const size_t length = strlen(digits);

    if (length % 2 != 0) {
        refuse(command, "Insufficient number of hex digits", "");
        return;
    }
    for (size_t i = 0; i < length; i += 2) {
        const int high = read_hex_digit(digits[i]);
        const int low = read_hex_digit(digits[i + 1]);

        if (high < 0 || low < 0) {
            digits[i + 2] = '\0';
            refuse(command, "Invalid hex digit: ", digits + i);
            return;
        }
        command->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    command->kind = TN_COMMAND_DB_BYTES;
    command->count = (uint32_t)(length / 2);
}

static void parse_print(struct tn_command *command, const struct words *words)
{
    command->kind = TN_COMMAND_DB_PRINT;
    command->is_count_given = words->count > 2;
    for (uint32_t i = 2; i < words->count && i < MOST_WORDS - 1; i++) {
        if (!read_number(words->word[i], i == 2 ? &command->count : &command->offset)) {
            refuse(command, "Command 'db print' takes numbers, not ", words->word[i]);
            return;
        }
    }
}

/* Returns how many words belong to the command. */
static uint32_t parse_db(struct tn_command *command, const struct words *words)
{
    if (words->count < 2) {
        refuse(command, "Command 'db' requires a subcommand", "");
        return 1;
    }
    if (strcmp(words->word[1], "print") == 0) {
        parse_print(command, words);
        return 4;
    }
    if (strcmp(words->word[1], "load") != 0) {
        parse_bytes(command, words->word[1]);
        return 2;
    }
    if (words->count < 3) {
        refuse(command, "Command 'db load' requires the # of bytes", "");
    } else if (!read_number(words->word[2], &command->count) || command->count == 0) {
        refuse(command, "Command 'db load' must be >0 bytes, not ", words->word[2]);
    } else {
        command->kind = TN_COMMAND_DB_LOAD;
    }
    return 3;
}

static uint32_t parse_infer(struct tn_command *command, const struct words *words)
{
    command->count = 1;
    command->warmups = TN_DEFAULT_WARMUPS;
    if (words->count > 1 && (!read_number(words->word[1], &command->count) || command->count == 0)) {
        refuse(command, "Inference iterations must be >0, not ", words->word[1]);
    } else if (words->count > 2 && !read_number(words->word[2], &command->warmups)) {
        refuse(command, "Inference warmup must be >=0, not ", words->word[2]);
    } else {
        command->kind = TN_COMMAND_INFER;
    }
    return 3;
}

static uint32_t parse_words(struct tn_command *command, const struct words *words)
{
    static const struct {
        const char *word;
        enum tn_command_kind kind;
    } plain[] = {
        {"name", TN_COMMAND_NAME}, {"timestamp", TN_COMMAND_TIMESTAMP}, {"profile", TN_COMMAND_PROFILE},
        {"help", TN_COMMAND_HELP}, {"results", TN_COMMAND_RESULTS},
    };

    if (strcmp(words->word[0], "db") == 0) {
        return parse_db(command, words);
    }
    if (strcmp(words->word[0], "infer") == 0) {
        return parse_infer(command, words);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(words->word[0], plain[i].word) == 0) {
            command->kind = plain[i].kind;
            return 1;
        }
    }
    refuse(command, "Unknown command: ", words->word[0]);
    return MOST_WORDS;
}

void tn_parse(struct tn_line *line, struct tn_command *command)
{
    const bool is_too_long = line->is_too_long;

    line->text[line->length] = '\0';
    line->length = 0;
    line->is_too_long = false;
    memset(command, 0, sizeof *command);
    command->word = "";
    if (is_too_long) {
        refuse(command, "A command has at most 80 characters", "");
        return;
    }

    const struct words words = split(line->text);

    if (words.count > 0) {
        const uint32_t own = parse_words(command, &words);

        /* The reference firmware ignores them; but what is not understood may be a damaged command. */
        if (command->kind != TN_COMMAND_REFUSED && words.count > own) {
            refuse(command, "Unexpected argument: ", words.word[own]);
        }
    }
}
