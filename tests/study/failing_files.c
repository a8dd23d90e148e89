/* A file layer that fails: preloaded into a process, it counts the calls that change files below a folder, and at the
   one that it is armed for fails as a full or a broken disk does, or ends the process. Both are real for SQLite and for
   Python, which call the same functions of libc.

   Nothing is really synchronised to the disk: no test that kills a process depends on it, and it takes milliseconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX]; /* Empty: no file is concerned. */
static long calls, armed;     /* The call that fails, counted from 1; 0: none. */
static int fault;             /* What it fails with; 0: the process is killed. */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* A full disk stays full, and takes what still fits; a broken one reports a single error. */
void fail_at(const char *below, long call, int error)
{
    snprintf(folder, sizeof folder, "%s", below);
    calls = 0;
    armed = call;
    fault = error;
}

long calls_so_far(void) { return calls; }

__attribute__((constructor)) static void armed_by_environment(void)
{
    const char *below = getenv("FAILING_FOLDER"), *call = getenv("FAILING_CALL"), *error = getenv("FAILING_ERROR");
    if (below != NULL && call != NULL && error != NULL)
        fail_at(below, atol(call), atoi(error));
}

/* How many calls there were, for whoever is to arm one of them next time. Children concern other files. */
__attribute__((destructor)) static void count_calls(void)
{
    const char *path = getenv("FAILING_COUNT");
    if (path == NULL || calls == 0)
        return;
    folder[0] = '\0';
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        fprintf(file, "%ld", calls);
        fclose(file);
    }
}

static int concerns(const char *path)
{
    return folder[0] != '\0' && strncmp(path, folder, strlen(folder)) == 0;
}

static int concerns_file(int file)
{
    char link[64], path[PATH_MAX];
    if (folder[0] == '\0')
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return concerns(path);
}

static int fails(void)
{
    calls += 1;
    if (armed == 0 || calls < armed || (calls > armed && fault != ENOSPC))
        return 0;
    if (fault == 0)
        kill(getpid(), SIGKILL);
    errno = fault;
    return 1;
}

/* What is written is cut in half by the call that fails first, unless the disk is broken. */
static size_t torn(size_t size) { return calls + 1 == armed && fault != EIO ? size / 2 : 0; }

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at)
{
    if (!concerns_file(file))
        return REAL(pwrite64)(file, bytes, size, at);
    size_t half = torn(size);
    ssize_t written = half ? REAL(pwrite64)(file, bytes, half, at) : -1;
    if (fails())
        return written;
    return REAL(pwrite64)(file, bytes, size, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) { return pwrite64(file, bytes, size, at); }

ssize_t write(int file, const void *bytes, size_t size)
{
    if (!concerns_file(file))
        return REAL(write)(file, bytes, size);
    size_t half = torn(size);
    if (!half)
        return fails() ? -1 : REAL(write)(file, bytes, size);
    ssize_t written = REAL(write)(file, bytes, half);
    fails();
    return written;
}

int fsync(int file) { return !concerns_file(file) ? REAL(fsync)(file) : fails() ? -1 : 0; }
int fdatasync(int file) { return !concerns_file(file) ? REAL(fdatasync)(file) : fails() ? -1 : 0; }

int ftruncate64(int file, off64_t size)
{
    return concerns_file(file) && fails() ? -1 : REAL(ftruncate64)(file, size);
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

/* A full disk most often has a place for a name. */
int rename(const char *from, const char *to)
{
    return concerns(to) && fails() && (fault != ENOSPC || calls == armed) ? -1 : REAL(rename)(from, to);
}

/* A full disk does not keep files from being removed. */
int unlink(const char *path) { return concerns(path) && fault != ENOSPC && fails() ? -1 : REAL(unlink)(path); }

static int opened(const char *path, int flags, mode_t mode)
{
    /* Only what is made anew needs space. */
    if ((flags & O_CREAT) != 0 && concerns(path) && access(path, F_OK) != 0 && fails())
        return -1;
    return REAL(open64)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opened(path, flags, mode);
}
