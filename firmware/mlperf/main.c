/* The firmware that MLPerf Tiny's runner drives: wait for a command, do it, end the answer with m-ready.
 *
 * What the runner reads is as in the reference firmware (mlcommons/tiny, benchmark/api). Bytes that do not fit what was
 * announced are refused, which the reference writes beyond its buffer.
 */
#include <string.h>

#include "answers.h"
#include "benchmark.h"
#include "commands.h"
#include "port.h"

/* In energy mode a timestamp is a falling edge of the sync pin, and the link has 9600 Bd (TN_BAUD). */
#ifndef TN_ENERGY_MODE
#define TN_ENERGY_MODE 0
#endif

#ifndef TN_VENDOR
#define TN_VENDOR "tinynas"
#endif

enum { BYTES_PER_LINE = 8 };

static struct tn_line line;
static struct tn_command command;
static struct tn_boot boot;
static bool has_run;

/* What `db` commands fill: `wanted` bytes were announced, `loaded` of them are there. */
static uint8_t db[TN_LOADED_BYTES];
static uint32_t wanted, loaded;

static void say_error(const char *why, const char *word)
{
    tn_say("e-[");
    tn_say(why);
    tn_say_foreign(word);
    tn_say("]\r\n");
}

/* "e-[<before><number><between><other><after>]" */
static void say_numbers(const char *before, uint32_t number, const char *between, uint32_t other, const char *after)
{
    tn_say("e-[");
    tn_say(before);
    tn_say_number(number);
    tn_say(between);
    tn_say_number(other);
    tn_say(after);
    tn_say("]\r\n");
}

static void say_counted(const char *before, uint64_t number, const char *after)
{
    tn_say(before);
    tn_say_number(number);
    tn_say(after);
}

/* Low for 10 microseconds or more, since a round takes a cycle or more; an energy monitor needs 1. */
static void pulse(void)
{
    const uint32_t rounds = boot.clock_hz / 100000;

    tn_port_sync(false);
    for (volatile uint32_t i = 0; i < rounds; i++) {
    }
    tn_port_sync(true);
}

/* Marks this moment: by the sync pin, or with the microseconds that it returns. */
static uint64_t mark(void)
{
    if (TN_ENERGY_MODE) {
        pulse();
        return 0;
    }
    const uint64_t ticks = tn_port_timer_read();
    const uint64_t seconds = ticks / boot.ticks_hz;

    return seconds * 1000000 + ticks % boot.ticks_hz * 1000000 / boot.ticks_hz;
}

static void say_lap(uint64_t us)
{
    if (!TN_ENERGY_MODE) {
        say_counted("m-lap-us-", us, "\r\n");
    }
}

static void say_profile(void)
{
    tn_say("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n"
           "m-model-[" TN_MODEL "]\r\n");
}

static void say_help(void)
{
    tn_say("ULPMark for tinyML Firmware V0.0.1\r\n"
           "\r\n"
           "help         : Print this information\r\n"
           "name         : Print the name of the device\r\n"
           "timestamp    : Generate a timestamp\r\n"
           "profile      : Print the firmware and the model\r\n"
           "db load N    : Expect N bytes\r\n"
           "db HH[HH]*   : Load bytes in hex, until there are N\r\n"
           "db print [N] [OFFSET]\r\n"
           "             : Print N bytes from OFFSET on in hex, or all\r\n"
           "infer N [W]  : Run N inferences after W=10 to warm up\r\n"
           "results      : Print the results of the last inference\r\n");
}

static void say_results(void)
{
    if (!has_run) {
        say_error("There are no results before an inference", "");
        return;
    }
    tn_say("m-results-[");
    for (uint32_t i = 0; i < tn_benchmark_results(); i++) {
        tn_say(i == 0 ? "" : ",");
        tn_say_real(tn_benchmark_result(i));
    }
    tn_say("]\r\n");
}

static void announce(uint32_t count)
{
    if (count > TN_LOADED_BYTES) {
        say_numbers("Supplied buffer size ", count, " exceeds maximum of ", TN_LOADED_BYTES, "");
        return;
    }
    wanted = count;
    loaded = 0;
    say_counted("m-[Expecting ", count, " bytes]\r\n");
}

/* What does not fit is refused. As in the reference firmware, a command's first bytes may still complete the load. */
static void load(const uint8_t *bytes, uint32_t count)
{
    const uint32_t missing = wanted - loaded;
    const uint32_t taken = count < missing ? count : missing;

    if (wanted == 0) {
        say_error("Buffer not allocated: 'db load' comes first", "");
        return;
    }
    memcpy(db + loaded, bytes, taken);
    loaded += taken;
    if (taken > 0 && loaded == wanted) {
        tn_say("m-load-done\r\n");
    }
    if (count > taken) {
        say_numbers("", count - taken, " bytes are too many: ", wanted, " bytes are loaded");
    }
}

static void print(uint32_t offset, uint32_t count)
{
    if (wanted == 0) {
        say_error("Buffer not allocated: 'db load' comes first", "");
        return;
    }
    if (offset > loaded || count > loaded - offset) {
        say_numbers("Bytes to print end at ", offset + count, " of ", loaded, " that are loaded");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        tn_say(i % BYTES_PER_LINE == 0 ? "m-buffer-" : "-");
        tn_say_hex(db[offset + i]);
        tn_say((i + 1) % BYTES_PER_LINE == 0 || i + 1 == count ? "\r\n" : "");
    }
}

static void infer(uint32_t count, uint32_t warmups)
{
    if (loaded != TN_LOADED_BYTES) {
        say_numbers("Input db has ", loaded, " bytes, expected ", TN_LOADED_BYTES, "");
        return;
    }
    if (!tn_benchmark_prepare(db)) {
        say_error("Input db holds what is no number or is beyond 1e6", "");
        return;
    }
    say_counted("m-warmup-start-", warmups, "\r\n");
    tn_benchmark_run(warmups);
    tn_say("m-warmup-done\r\n");
    say_counted("m-infer-start-", count, "\r\n");
    /* Nothing is sent while the inferences are timed: not the lines before, and the first timestamp waits for the second. */
    tn_port_flush();
    const uint64_t start = mark();

    tn_benchmark_run(count);
    const uint64_t end = mark();

    say_lap(start);
    say_lap(end);
    tn_say("m-infer-done\r\n");
    tn_benchmark_finish(db);
    has_run = true;
    say_results();
}

static void execute(void)
{
    switch (command.kind) {
    case TN_COMMAND_NONE:
        break;
    case TN_COMMAND_REFUSED:
        say_error(command.why, command.word);
        break;
    case TN_COMMAND_NAME:
        tn_say("m-name-dut-[" TN_VENDOR "]\r\n");
        break;
    case TN_COMMAND_TIMESTAMP:
        say_lap(mark());
        break;
    case TN_COMMAND_PROFILE:
        say_profile();
        break;
    case TN_COMMAND_HELP:
        say_help();
        break;
    case TN_COMMAND_RESULTS:
        say_results();
        break;
    case TN_COMMAND_INFER:
        infer(command.count, command.warmups);
        break;
    case TN_COMMAND_DB_LOAD:
        announce(command.count);
        break;
    case TN_COMMAND_DB_PRINT:
        print(command.offset, command.is_count_given ? command.count : loaded);
        break;
    case TN_COMMAND_DB_BYTES:
        load(command.bytes, command.count);
        break;
    }
    tn_say("m-ready\r\n");
}

/* What the port's start-up calls. */
_Noreturn void tn_serve(void);
void tn_serve(void)
{
    boot = tn_port_init();
    tn_port_sync(true); /* energy monitors look for its falling edge */
    if (!TN_ENERGY_MODE) {
        tn_port_timer_start();
    }
    tn_say(TN_ENERGY_MODE ? "m-timestamp-mode-energy\r\n" : "m-timestamp-mode-performance\r\n");
    say_lap(mark());
    tn_say("m-init-done\r\n"
           "m-ready\r\n");
    for (;;) {
        if (tn_take(&line, (char)tn_port_read())) {
            tn_parse(&line, &command);
            execute();
        }
    }
}
