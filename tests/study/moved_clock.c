/* A wall clock that can be moved, preloaded into a process; what measures durations goes on as it was. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

static long moved_s;

void move_clock(long seconds) { moved_s += seconds; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = REAL(clock_gettime)(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += moved_s;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int result = REAL(gettimeofday)(now, zone);
    if (result == 0)
        now->tv_sec += moved_s;
    return result;
}

time_t time(time_t *where)
{
    time_t now = REAL(time)(NULL) + moved_s;
    if (where != NULL)
        *where = now;
    return now;
}
