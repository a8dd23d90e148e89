/* What the board answers to each request; PROTOCOL.md has the tables. */
#ifndef TN_REQUESTS_H
#define TN_REQUESTS_H

#include "frames.h"
#include "port.h"

/* Fills `answer` for a request, sealed and ready to be sent. True when the board must reset after sending it. */
bool tn_answer(struct tn_frame *request, struct tn_frame *answer, const struct tn_boot *boot);

#endif
