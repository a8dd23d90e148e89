#include "tn_counts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_KINDS = 1024 };

struct tn_dynamic tn_dynamic;
static struct tn_kind kinds[MAX_KINDS];
static size_t kinds_count;
static int output = -1;

bool tn_open_counts(const char *path)
{
    output = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    return output >= 0;
}

struct tn_kind *tn_find_kind(enum tn_class class, unsigned cycles, unsigned loads, unsigned stores)
{
    for (struct tn_kind *kind = kinds; kind < kinds + kinds_count; kind++) {
        if (kind->class == class && kind->cycles == cycles && kind->loads == loads && kind->stores == stores) {
            return kind;
        }
    }
    if (kinds_count == MAX_KINDS) {
        abort();
    }
    kinds[kinds_count] = (struct tn_kind){.class = class, .cycles = cycles, .loads = loads, .stores = stores};
    return &kinds[kinds_count++];
}

void tn_append_interval(void)
{
    uint64_t by_class[TN_CLASSES] = {0};
    uint64_t instructions = 0;
    uint64_t cycles = tn_dynamic.cycles;
    uint64_t loads = tn_dynamic.loads;
    uint64_t stores = tn_dynamic.stores;
    char line[21 * (5 + TN_CLASSES)];
    int length;

    for (struct tn_kind *kind = kinds; kind < kinds + kinds_count; kind++) {
        by_class[kind->class] += kind->count;
        instructions += kind->count;
        cycles += kind->count * kind->cycles;
        loads += kind->count * kind->loads;
        stores += kind->count * kind->stores;
        kind->count = 0;
    }
    length = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, instructions,
                      cycles, tn_dynamic.wait_cycles, loads, stores);
    for (int class = 0; class < TN_CLASSES; class++) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %" PRIu64, by_class[class]);
    }
    line[length++] = '\n';
    if (write(output, line, (size_t)length) != length) {
        perror("tn_cycles: the counts could not be written");
        abort();
    }
    tn_dynamic = (struct tn_dynamic){0};
}
