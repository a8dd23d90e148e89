/* The firmware that runs a network for tinynas: wait for a request, do it, answer. */
#include "frames.h"
#include "port.h"
#include "requests.h"

/* What the port's start-up calls: main() belongs to the Arduino core where there is one. */
_Noreturn void tn_serve(void);

/* Static, because a frame each way would be most of the stack. */
static struct tn_decoder decoder;
static struct tn_frame answer;
static bool answered;

/* The host asks again when an answer was lost. The work is not done twice: the last answer is sent again. */
static bool is_repeated(const struct tn_frame *request)
{
    return answered && tn_sequence(request) == tn_sequence(&answer) && tn_run_id(request) == tn_run_id(&answer);
}

void tn_serve(void)
{
    const struct tn_boot boot = tn_port_init();

    for (;;) {
        bool reset = false;

        if (!tn_decode(&decoder, tn_port_read())) {
            continue;
        }
        if (!is_repeated(&decoder.frame)) {
            reset = tn_answer(&decoder.frame, &answer, &boot);
            answered = true;
        }
        tn_send(&answer, tn_port_write);
        if (reset) {
            tn_port_reset();
        }
    }
}
