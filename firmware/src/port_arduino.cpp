/* Any board that has an Arduino core: its Serial is the link, the pin of its LED the sync pin unless TN_SYNC_PIN names
 * another one, micros() the timer, Wire the bus of a power sensor. What only some cores tell is asked of those.
 */
#include <Arduino.h>
#include <Wire.h>
#ifdef __AVR__
#include <avr/sleep.h>
#include <avr/wdt.h>
#endif

#define _Noreturn [[noreturn]]
extern "C" {
#include "port.h"
#include "stack.h"

void tn_serve(void);
}

#ifndef TN_SYNC_PIN
#define TN_SYNC_PIN LED_BUILTIN
#endif

#ifdef ESP_PLATFORM
#define KEPT RTC_NOINIT_ATTR
#else
#define KEPT __attribute__((section(".noinit")))
#endif

/* A reset leaves this alone where the core keeps .noinit, the power's coming on does not. */
static const uint32_t MARK = 0x7A5C1E0F;
static struct {
    uint32_t mark, starts, asked;
} persistent KEPT;

static uint32_t timer_started;

static const uint32_t I2C_HZ = 400000;
/* A whole transfer takes a millisecond; a bus that is stuck must not stop the board. */
static const uint32_t I2C_TIMEOUT_US = 10000;

#ifdef __AVR__
extern uint8_t __data_start[], __heap_start[];

/* A watchdog that has reset the chip goes on, and soon does so again. */
extern "C" __attribute__((naked, used, section(".init3"))) void tn_stop_watchdog(void);
void tn_stop_watchdog(void)
{
    MCUSR = 0;
    wdt_disable();
}
#endif

struct tn_boot tn_port_init(void)
{
    const bool power_came_on = persistent.mark != MARK;
    struct tn_boot boot;

    if (power_came_on) {
        persistent.starts = 0;
        persistent.asked = 0;
    }
    boot.clock_hz = F_CPU;
    boot.ticks_hz = 1000000;
    boot.count = ++persistent.starts;
    boot.cause = power_came_on ? TN_RESET_POWER_ON : persistent.asked == MARK ? TN_RESET_SOFTWARE : TN_RESET_PIN;
    persistent.mark = MARK;
    persistent.asked = 0;
    pinMode(TN_SYNC_PIN, OUTPUT);
    Serial.begin(TN_BAUD);
    Wire.begin();
    Wire.setClock(I2C_HZ);
#ifdef WIRE_HAS_TIMEOUT
    Wire.setWireTimeout(I2C_TIMEOUT_US, true);
#endif
    return boot;
}

/* As the cores' device headers name it: of STM32, of nRF5x, of ESP32. */
void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
#if defined UID_BASE
    memcpy(id, (const void *)UID_BASE, 12);
#elif defined NRF_FICR
    const uint32_t words[2] = {NRF_FICR->DEVICEID[0], NRF_FICR->DEVICEID[1]};

    memcpy(id, words, sizeof words);
#elif defined ARDUINO_ARCH_ESP32
    const uint64_t mac = ESP.getEfuseMac();

    memcpy(id, &mac, sizeof mac);
#else
    (void)id;
#endif
}

struct tn_memory tn_port_memory(void)
{
    struct tn_memory memory = {};

    memory.stack_bytes = TN_STACK_BYTES;
#ifdef __AVR__
    memory.static_bytes = (uint32_t)(__heap_start - __data_start);
    memory.spare_start = __heap_start;
    memory.spare_end = (uint8_t *)tn_port_stack_limit();
#endif
    return memory;
}

/* A core that runs this in a task of its own gives the task a stack with at least TN_STACK_BYTES left. */
uint32_t *tn_port_stack_limit(void)
{
#ifdef __AVR__
    return (uint32_t *)(RAMEND + 1 - TN_STACK_BYTES);
#else
    return (uint32_t *)(((uintptr_t)__builtin_frame_address(0) - TN_STACK_BYTES) & ~(uintptr_t)3);
#endif
}

uint8_t tn_port_read(void)
{
    int byte;

    while ((byte = Serial.read()) < 0) {
#ifdef __AVR__
        /* An interrupt that comes after the check still ends the sleep: SEI takes effect one instruction later. */
        cli();
        if (!Serial.available()) {
            sleep_enable();
            sei();
            sleep_cpu();
            sleep_disable();
        }
        sei();
#else
        yield();
#endif
    }
    return (uint8_t)byte;
}

void tn_port_write(uint8_t byte)
{
    Serial.write(byte);
}

void tn_port_flush(void)
{
    Serial.flush();
}

void tn_port_timer_start(void)
{
    timer_started = micros();
}

uint32_t tn_port_timer_stop(void)
{
    return micros() - timer_started;
}

/* The timer is started once by what reads it. micros() begins again every 71 minutes, which passes unseen unless this is
 * called in between. */
uint64_t tn_port_timer_read(void)
{
    static uint64_t passed;
    const uint32_t now = micros();

    passed += now - timer_started;
    timer_started = now;
    return passed;
}

bool tn_port_i2c_write(uint8_t address, const uint8_t *bytes, size_t count)
{
    Wire.beginTransmission(address);
    return Wire.write(bytes, count) == count && Wire.endTransmission() == 0;
}

bool tn_port_i2c_read(uint8_t address, uint8_t *bytes, size_t count)
{
    if (Wire.requestFrom((int)address, (int)count) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)Wire.read();
    }
    return true;
}

void tn_port_sync(bool high)
{
    digitalWrite(TN_SYNC_PIN, high ? HIGH : LOW);
}

void tn_port_reset(void)
{
    tn_port_flush();
    persistent.asked = MARK;
#if defined __AVR__
    wdt_enable(WDTO_15MS);
#elif defined ESP_PLATFORM
    ESP.restart();
#elif defined __arm__
    *(volatile uint32_t *)0xE000ED0C = 0x05FA0004; /* SCB AIRCR: the key, and SYSRESETREQ (ARM DDI 0403) */
#else
#error "this port does not know how to reset this CPU"
#endif
    for (;;) {
    }
}

void setup(void)
{
}

void loop(void)
{
    tn_serve();
}
