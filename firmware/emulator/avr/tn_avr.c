/* A board with an AVR: simavr's core between a serial port and a monitor, both sockets that are open already.
 *
 *     tn_avr MCU CLOCK_HZ BAUD FLASH SERIAL_FD MONITOR_FD SYNC_ADDRESS OUTPUT
 *
 * FLASH is what the flash holds, from address 0. SERIAL_FD listens: whoever connects is at the other end of UART 0, one
 * at a time. MONITOR_FD speaks as much of QEMU's machine protocol as a reset button needs; its end is the power's end.
 * At each store to SYNC_ADDRESS, a register in the data space, a line as of tn_cycles.c is appended to OUTPUT: loads and
 * stores are in bytes here, there is nothing to wait for, and cycles are simavr's.
 *
 * Virtual time runs as fast as it can while the CPU is at work and no faster than real time while it sleeps, so that a
 * board at rest takes hardly any of the host's.
 */
#define _GNU_SOURCE /* ppoll */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_cycle_timers.h>
#include <simavr/sim_io.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* As in tn_thumb.h, whose columns these are. */
enum tn_class { TN_ALU, TN_MULTIPLY, TN_DSP, TN_LOAD, TN_STORE, TN_BRANCH, TN_DIVIDE, TN_FPU, TN_VECTOR, TN_OTHER, TN_CLASSES };

enum {
    POLL_INSTRUCTIONS = 50000,
    BUFFER_BYTES = 8192,
};

struct buffer {
    uint8_t bytes[BUFFER_BYTES];
    size_t first, count;
};

static avr_t *avr;
static avr_irq_t *uart_input;
static int listener, client = -1, monitor, output;
static struct buffer to_board, to_host;
static uint8_t class_of[0x10000];
static uint64_t by_class[TN_CLASSES];
static avr_cycle_count_t interval_start, byte_cycles;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "tn_avr: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* AVR Instruction Set Manual (Microchip DS40002198), "Instruction Description". */
static enum tn_class classify(unsigned code)
{
    const unsigned high = code >> 8;

    if ((code & 0xD000) == 0x8000) {
        return code & 0x0200 ? TN_STORE : TN_LOAD; /* LDD, STD */
    }
    if ((code & 0xFC00) == 0x9000) {
        return code & 0x0200 ? TN_STORE : TN_LOAD; /* LD, LDS, LPM, POP; ST, STS, PUSH */
    }
    if (high == 0x02 || high == 0x03 || (code & 0xFC00) == 0x9C00) {
        return TN_MULTIPLY; /* MULS; MULSU and the fractional ones; MUL */
    }
    if ((code & 0xFFEF) == 0x95C8) {
        return TN_LOAD; /* LPM and ELPM to R0; bit 4 tells one from the other */
    }
    if ((code & 0xFE0C) == 0x940C || (code & 0xFEEF) == 0x9409 || (code & 0xFFEF) == 0x9508) {
        return TN_BRANCH; /* JMP, CALL; IJMP, ICALL and their extended forms; RET, RETI */
    }
    if (high == 0x99 || high == 0x9B || (code & 0xE000) == 0xC000 || (code & 0xF800) == 0xF000 ||
        (code & 0xFC00) == 0xFC00 || (code & 0xFC00) == 0x1000) {
        return TN_BRANCH; /* SBIC, SBIS; RJMP, RCALL; BRBS, BRBC; SBRC, SBRS; CPSE */
    }
    if (code == 0 || high == 0x98 || high == 0x9A || (code & 0xF000) == 0xB000 || (code & 0xFE0F) == 0x9408) {
        return TN_OTHER; /* NOP; CBI, SBI; IN, OUT; flags, SLEEP, WDR, BREAK */
    }
    return TN_ALU;
}

static void append_interval(struct avr_t *core, avr_io_addr_t address, uint8_t value, void *data)
{
    uint64_t instructions = 0;
    char line[21 * (5 + TN_CLASSES)];
    int length;

    (void)address;
    (void)value;
    (void)data;
    for (int class = 0; class < TN_CLASSES; class++) {
        instructions += by_class[class];
    }
    length = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " 0 %" PRIu64 " %" PRIu64, instructions,
                      (uint64_t)(core->cycle - interval_start), by_class[TN_LOAD], by_class[TN_STORE]);
    for (int class = 0; class < TN_CLASSES; class++) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %" PRIu64, by_class[class]);
        by_class[class] = 0;
    }
    line[length++] = '\n';
    if (write(output, line, (size_t)length) != length) {
        fail("the counts could not be written");
    }
    interval_start = core->cycle;
}

/* Bytes arrive at the line's pace, whether the board takes them or not. */
static avr_cycle_count_t feed(struct avr_t *core, avr_cycle_count_t when, void *data)
{
    (void)core;
    (void)data;
    if (!to_board.count) {
        return 0;
    }
    avr_raise_irq(uart_input, to_board.bytes[to_board.first++]);
    to_board.count--;
    return when + byte_cycles;
}

static void flush(void)
{
    while (client >= 0 && to_host.count) {
        const ssize_t sent = send(client, to_host.bytes + to_host.first, to_host.count, MSG_NOSIGNAL);

        if (sent <= 0) {
            break;
        }
        to_host.first += (size_t)sent;
        to_host.count -= (size_t)sent;
    }
    to_host.first = to_host.count = 0;
}

static void sent(struct avr_irq_t *irq, uint32_t value, void *data)
{
    (void)irq;
    (void)data;
    if (client < 0) {
        return;
    }
    to_host.bytes[to_host.count++] = (uint8_t)value;
    if (to_host.count == BUFFER_BYTES) {
        flush();
    }
}

static void receive(void)
{
    const ssize_t got = recv(client, to_board.bytes, BUFFER_BYTES, MSG_DONTWAIT);

    if (got > 0) {
        to_board.first = 0;
        to_board.count = (size_t)got;
        avr_cycle_timer_register(avr, byte_cycles, feed, NULL);
    } else if (got == 0 || errno != EAGAIN) {
        close(client);
        client = -1;
    }
}

/* One command a line; all but a reset are answered and ignored. */
static void obey(void)
{
    static const char done[] = "{\"return\": {}}\n";
    char line[4096];
    const ssize_t got = recv(monitor, line, sizeof line - 1, MSG_DONTWAIT);

    if (got <= 0) {
        exit(0);
    }
    line[got] = 0;
    if (strstr(line, "system_reset")) {
        avr_reset(avr);
        avr->state = cpu_Running;
        to_board.count = 0;
    }
    if (send(monitor, done, sizeof done - 1, MSG_NOSIGNAL) < 0) {
        exit(0);
    }
}

/* Serves both sockets, after at most `nanoseconds` of waiting for them. */
static void serve(uint64_t nanoseconds)
{
    /* What was received is taken before there is more of it. */
    const bool receives = client >= 0 && !to_board.count;
    struct pollfd ends[] = {
        {.fd = monitor, .events = POLLIN},
        {.fd = client >= 0 ? -1 : listener, .events = POLLIN},
        {.fd = receives ? client : -1, .events = POLLIN},
    };
    const struct timespec limit = {.tv_sec = 0, .tv_nsec = (long)nanoseconds};

    if (to_board.count && !avr_cycle_timer_status(avr, feed, NULL)) {
        avr_cycle_timer_register(avr, byte_cycles, feed, NULL); /* its watchdog has reset the chip */
    }
    flush();
    if (ppoll(ends, 3, &limit, NULL) <= 0) {
        return;
    }
    if (ends[0].revents) {
        obey();
    }
    if (ends[1].revents) {
        client = accept(listener, NULL, NULL);
    }
    if (ends[2].revents) {
        receive();
    }
}

static void rest(avr_t *core, avr_cycle_count_t cycles)
{
    const uint64_t nanoseconds = cycles * 1000000000 / core->frequency;

    /* A byte on its way takes its time in the UART, and no time of ours. */
    serve(to_board.count ? 0 : nanoseconds < 10000000 ? nanoseconds : 10000000);
}

static void load_flash(const char *path)
{
    FILE *const file = fopen(path, "rb");

    if (!file) {
        fail(path);
    }
    if (fread(avr->flash, 1, avr->flashend + 1, file) == 0) {
        fail(path);
    }
    fclose(file);
    avr->codeend = avr->flashend;
}

static void connect_uart(void)
{
    uint32_t flags = 0;

    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    uart_input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), sent, NULL);
}

int main(int argc, char **argv)
{
    static const char greeting[] = "{\"QMP\": {}}\n";

    if (argc != 9 || !(avr = avr_make_mcu_by_name(argv[1]))) {
        fprintf(stderr, "tn_avr: needs MCU CLOCK_HZ BAUD FLASH SERIAL_FD MONITOR_FD SYNC_ADDRESS OUTPUT\n");
        return 2;
    }
    avr_init(avr);
    avr->frequency = (uint32_t)strtoul(argv[2], NULL, 10);
    /* simavr's UART takes 11 bits for a byte, with one of parity that is not there, and counts in microseconds. */
    byte_cycles = 12 * (avr_cycle_count_t)avr->frequency / strtoul(argv[3], NULL, 10);
    load_flash(argv[4]);
    listener = atoi(argv[5]);
    monitor = atoi(argv[6]);
    avr_register_io_write(avr, (avr_io_addr_t)strtoul(argv[7], NULL, 0), append_interval, NULL);
    output = open(argv[8], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (output < 0) {
        fail(argv[8]);
    }
    for (unsigned code = 0; code < 0x10000; code++) {
        class_of[code] = (uint8_t)classify(code);
    }
    connect_uart();
    avr->sleep = rest;
    avr->run_cycle_limit = 1; /* one instruction at a time, each of which is counted */
    if (send(monitor, greeting, sizeof greeting - 1, MSG_NOSIGNAL) < 0) {
        fail("the monitor is gone");
    }
    for (unsigned left = 0;; left--) {
        if (avr->state == cpu_Running) {
            by_class[class_of[avr->flash[avr->pc] | avr->flash[avr->pc + 1] << 8]]++;
        }
        const int state = avr_run(avr);

        if (state == cpu_Done || state == cpu_Crashed) {
            fprintf(stderr, "tn_avr: the CPU stopped at 0x%05x\n", (unsigned)avr->pc);
            return 1;
        }
        if (left == 0) {
            serve(0);
            left = POLL_INSTRUCTIONS;
        }
    }
}
