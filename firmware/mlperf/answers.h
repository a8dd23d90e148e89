/* Text for the runner, to the port. */
#ifndef TN_ANSWERS_H
#define TN_ANSWERS_H

#include <stdint.h>

void tn_say(const char *text);

/* What came from the host: at most 80 characters, those that could end a message or a line as '?'. */
void tn_say_foreign(const char *text);

void tn_say_number(uint64_t number);

/* Two digits. */
void tn_say_hex(uint8_t byte);

/* Three decimals, as printf's "%.3f": the exact value, rounded half to even. "inf" from 2^53 on. */
void tn_say_real(float value);

#endif
