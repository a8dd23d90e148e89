#include "tn_flash.h"

enum { NOTHING = UINT32_MAX };

/* Lines of flash by number, the one that was used last first. */
struct cache {
    uint32_t lines[TN_MAX_LINES];
    uint32_t used, capacity;
};

static struct tn_flash flash;
static struct cache instructions, data;
static uint32_t executing;

void tn_flash_init(const struct tn_flash *chosen)
{
    flash = *chosen;
    instructions.capacity = flash.instruction_lines;
    instructions.used = 0;
    data.capacity = flash.data_lines;
    data.used = 0;
    executing = NOTHING;
}

static bool is_flash(uint32_t address)
{
    return address - flash.start < flash.size;
}

/* Whether the cache holds `line`; it does afterwards. */
static bool use(struct cache *cache, uint32_t line)
{
    uint32_t at = 0;

    while (at < cache->used && cache->lines[at] != line) {
        at++;
    }
    const bool hit = at < cache->used;

    if (!hit) {
        if (cache->used < cache->capacity) {
            cache->used++;
        } else if (at > 0) {
            at--;
        } else {
            return false;
        }
    }
    for (; at > 0; at--) {
        cache->lines[at] = cache->lines[at - 1];
    }
    cache->lines[0] = line;
    return hit;
}

uint32_t tn_flash_fetch(uint32_t from, uint32_t to)
{
    uint32_t waits = 0;

    if (!is_flash(from)) {
        return 0;
    }
    for (uint32_t line = from / flash.line_bytes; line <= (to - 1) / flash.line_bytes; line++) {
        const bool read_ahead = flash.prefetch && executing != NOTHING && line == executing + 1;

        if (line != executing && !read_ahead && !use(&instructions, line)) {
            waits += flash.wait_states;
        }
        executing = line;
    }
    return waits;
}

uint32_t tn_flash_read(uint32_t address)
{
    return !is_flash(address) || use(&data, address / flash.line_bytes) ? 0 : flash.wait_states;
}
