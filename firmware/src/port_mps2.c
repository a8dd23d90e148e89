/* ARM MPS2 and MPS3 with FPGA images of a Cortex-M among peripherals of ARM's system design kit (CMSDK). Registers: ARM
 * DDI 0479, sections 4.3 (UART) and 4.1 (GPIO); addresses and interrupts: ARM application notes 386, 505 and 547.
 *
 * The link is UART0, the sync pin is pin 0 of GPIO0, a power sensor is on the I2C of shield 1. Its controller has two
 * wires that software sets (SBCon: ARM DUI 0225, two-wire serial bus interface), both open drain.
 */
#include <stddef.h>

#include "port.h"
#include "start.h"

struct uart {
    volatile uint32_t data, state, ctrl, intstatus, bauddiv;
};

struct gpio {
    volatile uint32_t data, dataout, reserved[2], outenset;
};
_Static_assert(offsetof(struct gpio, outenset) == 0x10, "DDI 0479, GPIO register summary");

struct sbcon {
    volatile uint32_t control, clear; /* written: sets the bits, clears the bits; read: the wires as they are */
};

/* Where there is TrustZone, the CPU starts in its secure state and stays there: these are the secure addresses. */
#ifdef TN_AN547
#define SHIELD_I2C ((struct sbcon *)0x59206000)
#define UART0 ((struct uart *)0x59303000)
#define GPIO0 ((struct gpio *)0x51100000)
enum { UART0_RX_IRQ = 33 };
#elif defined TN_AN505
#define SHIELD_I2C ((struct sbcon *)0x5020D000)
#define UART0 ((struct uart *)0x50200000)
#define GPIO0 ((struct gpio *)0x50100000)
enum { UART0_RX_IRQ = 32 };
#else
#define SHIELD_I2C ((struct sbcon *)0x4002A000)
#define UART0 ((struct uart *)0x40004000)
#define GPIO0 ((struct gpio *)0x40010000)
enum { UART0_RX_IRQ = 0 };
#endif
#define NVIC_ISER ((volatile uint32_t *)0xE000E100)

enum {
    UART_STATE_TXFULL = 1 << 0,
    UART_STATE_RXFULL = 1 << 1,
    UART_CTRL_ON = 1 << 0 | 1 << 1 | 1 << 3, /* transmit, receive, interrupt on receive */
    UART_INT_RX = 1 << 1,
    SYNC_PIN = 0,
    I2C_SCL = 1 << 0,
    I2C_SDA = 1 << 1,
    I2C_ROUNDS = F_CPU / 400000 / 2 / 4, /* half a bit at 400 kbit/s, four cycles a round */
};

struct tn_boot tn_port_init(void)
{
    const struct tn_start start = tn_start_count();

    UART0->bauddiv = (F_CPU + TN_BAUD / 2) / TN_BAUD;
    UART0->ctrl = UART_CTRL_ON;
    NVIC_ISER[UART0_RX_IRQ / 32] = 1u << UART0_RX_IRQ % 32;
    GPIO0->outenset = 1u << SYNC_PIN;
    /* The board does not tell why it started. */
    return (struct tn_boot){
        .clock_hz = F_CPU,
        .ticks_hz = F_CPU,
        .count = start.count,
        .cause = start.power_came_on ? TN_RESET_POWER_ON : start.asked ? TN_RESET_SOFTWARE : TN_RESET_UNKNOWN,
    };
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    (void)id; /* the chip has none */
}

void tn_link_handler(void)
{
    UART0->intstatus = UART_INT_RX;
    if (UART0->state & UART_STATE_RXFULL) {
        tn_received((uint8_t)UART0->data);
    }
}

void tn_port_write(uint8_t byte)
{
    while (UART0->state & UART_STATE_TXFULL) {
    }
    UART0->data = byte;
}

void tn_port_flush(void)
{
    while (UART0->state & UART_STATE_TXFULL) {
    }
}

void tn_port_sync(bool high)
{
    GPIO0->dataout = high ? 1u << SYNC_PIN : 0;
}

static void set_wire(uint32_t wire, bool high)
{
    if (high) {
        SHIELD_I2C->control = wire;
    } else {
        SHIELD_I2C->clear = wire;
    }
    for (uint32_t i = 0; i < I2C_ROUNDS; i++) {
        __asm volatile("nop");
    }
}

/* One bit each way; the receiver leaves the wire to the other side by sending a one. */
static bool exchange_bit(bool bit)
{
    set_wire(I2C_SDA, bit);
    set_wire(I2C_SCL, true);
    const bool seen = SHIELD_I2C->control & I2C_SDA;

    set_wire(I2C_SCL, false);
    return seen;
}

static void start_transfer(void)
{
    set_wire(I2C_SDA, true);
    set_wire(I2C_SCL, true);
    set_wire(I2C_SDA, false);
    set_wire(I2C_SCL, false);
}

static void end_transfer(void)
{
    set_wire(I2C_SDA, false);
    set_wire(I2C_SCL, true);
    set_wire(I2C_SDA, true);
}

/* True if somebody acknowledged. */
static bool put_byte(uint8_t byte)
{
    for (int bit = 7; bit >= 0; bit--) {
        exchange_bit(byte >> bit & 1);
    }
    return !exchange_bit(true);
}

static uint8_t get_byte(bool more)
{
    uint8_t byte = 0;

    for (int bit = 0; bit < 8; bit++) {
        byte = (uint8_t)(byte << 1 | exchange_bit(true));
    }
    exchange_bit(!more);
    return byte;
}

bool tn_port_i2c_write(uint8_t address, const uint8_t *bytes, size_t count)
{
    start_transfer();
    bool acknowledged = put_byte((uint8_t)(address << 1));

    for (size_t i = 0; i < count && acknowledged; i++) {
        acknowledged = put_byte(bytes[i]);
    }
    end_transfer();
    return acknowledged;
}

bool tn_port_i2c_read(uint8_t address, uint8_t *bytes, size_t count)
{
    start_transfer();
    const bool acknowledged = put_byte((uint8_t)(address << 1 | 1));

    for (size_t i = 0; i < count && acknowledged; i++) {
        bytes[i] = get_byte(i + 1 < count);
    }
    end_transfer();
    return acknowledged;
}
